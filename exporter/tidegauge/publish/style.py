"""The page's one style sheet: light and dark, wide and narrow, on screen and on paper.

Class names are short because they are repeated a thousand times. Colours have a contrast of at least 4.5 to 1 against
what they stand on, in both schemes; what a colour says is always said in words too.
"""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root{color-scheme:light dark;--bg:#eef2f3;--card:#fff;--ink:#13222b;--soft:#4a5c67;--line:#cfd9de;--link:#0a5a80;
--tide:#0f6f93;--band:#0f6f9326;--bad:#a81e1e;--badbg:#fbe9e7;--warn:#7c4a00;--warnbg:#fdf1d8;--good:#1d6b3a;
--goodbg:#e5f3e9;--dim:#4a5c67;--dimbg:#e8edf0}
@media(prefers-color-scheme:dark){:root{--bg:#0d1419;--card:#151f26;--ink:#dce7ec;--soft:#9db0ba;--line:#2b3a44;
--link:#84c6ea;--tide:#5bb8dc;--band:#5bb8dc2e;--bad:#ff9c92;--badbg:#3b1a1a;--warn:#f2c46d;--warnbg:#352810;
--good:#7fd09b;--goodbg:#14301f;--dim:#a9bac3;--dimbg:#22303a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:84rem;padding:0 1rem 2rem;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
a{color:var(--link)}a:focus-visible,summary:focus-visible,.t:focus-visible{outline:3px solid var(--tide);
outline-offset:2px}
h1,h2,h3,h4{line-height:1.25;margin:0;overflow-wrap:anywhere;text-wrap:balance}h1{font-size:1.05rem;letter-spacing:.02em}
h2{font-size:1.05rem;margin:2rem 0 .6rem}h3{font-size:1.2rem}h4{font-size:1.05rem}
p,ul,dl,figure{margin:0;padding:0}ul{list-style:none}bdi{overflow-wrap:anywhere}
header{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;align-items:baseline;padding:1rem 0 .4rem}
header p{color:var(--soft)}header nav{margin-left:auto}nav a+a,footer a+a{margin-left:.9rem}
.say{font-size:1.45rem;line-height:1.3;font-weight:600;padding:.3rem 0 .2rem;text-wrap:balance}
.q{color:var(--soft)}.h{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.c{display:inline-block;font-size:.82rem;font-weight:600;line-height:1.5;padding:0 .55em;border-radius:1em;
white-space:nowrap;border:1px solid currentColor}
.missed,.roll_back,.detected,.broken{--v:var(--bad);--vb:var(--badbg)}.silent,.idle,.uncertain,.warning,.moved,.impaired{--v:var(--warn);--vb:var(--warnbg)}
.met,.promote,.watching,.steady{--v:var(--good);--vb:var(--goodbg)}.unknown,.no_objective,.keep_watching,.learning,.no_reference,.insufficient_samples{--v:var(--dim);--vb:var(--dimbg)}
.error{--v:var(--bad);--vb:var(--badbg)}
.c,.i{color:var(--v)}.c{background:var(--vb)}
.o>li,.p>li{background:var(--card);border:1px solid var(--line);border-left:.35rem solid var(--v);border-radius:.3rem;
padding:.55rem .9rem;margin-bottom:.45rem}
.o .a{display:flex;flex-wrap:wrap;gap:.1rem .8rem;align-items:baseline}.o .a a{font-weight:600;font-size:1.08rem}
.o .a .q{margin-left:auto}.o ul li,.p p{overflow-wrap:anywhere}.o ul li{padding-left:1.35em;text-indent:-1.35em}
.i{display:inline-block;width:1.35em;text-indent:0}
.m{background:var(--card);border:1px solid var(--line);border-radius:.3rem;padding:.9rem;margin-bottom:1rem}
.m>.a{display:flex;flex-wrap:wrap;gap:.2rem .9rem;align-items:baseline;padding-bottom:.6rem}
.vs{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:.9rem}
.v{border-top:.25rem solid var(--v);padding-top:.5rem;min-width:0;container-type:inline-size}
@container(min-width:46rem){.g2{display:grid;grid-template-columns:25rem minmax(0,1fr);gap:2rem}}
@container(max-width:29rem){.n small{display:block}}
.v>.a{display:flex;flex-wrap:wrap;gap:.2rem .7rem;align-items:baseline}.v>.a a:first-of-type{margin-left:auto}
.rl{margin:.5rem 0;padding:.1rem 0 .1rem .7rem;border-left:.2rem solid var(--v)}.rl p{overflow-wrap:anywhere}
.b{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .7rem;margin-top:.3rem}
.b b{font-size:2rem;line-height:1.2;font-weight:600}
svg{display:block;width:100%}svg *{vector-effect:non-scaling-stroke}.g{height:1.3rem}.r{height:4.2rem}.d{height:3.2rem}
figure{margin:.4rem 0}figcaption{color:var(--soft);font-size:.85rem;
display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 .8rem}
.ax{stroke:var(--line)}.zone{fill:var(--badbg)}.iv{stroke:var(--v);stroke-width:7;stroke-linecap:round;opacity:.55}
.pt{stroke:var(--v);stroke-width:9;stroke-linecap:round}.ob{stroke:var(--ink);stroke-width:2}
.od{stroke:var(--ink);stroke-width:1;stroke-dasharray:3 3}
.bd{fill:var(--band)}.br{fill:var(--tide);opacity:.55}.st{fill:none;stroke:var(--ink);stroke-width:1.3}
.ds{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));gap:0 1.2rem}
.ln{fill:none;stroke:var(--tide);stroke-width:1.6;stroke-linejoin:round;stroke-linecap:round}
dl{display:grid;grid-template-columns:auto 1fr;gap:0 .9rem;font-size:.92rem;margin:.4rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
details{border-top:1px solid var(--line);font-size:.92rem}
summary{cursor:pointer;padding:.35rem 0;overflow-wrap:anywhere}
details[open]{padding-bottom:.5rem}
.t{overflow-x:auto;max-width:100%;position:relative}table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0;font-size:.85rem}
th,td{text-align:left;vertical-align:baseline;padding:.22rem .9rem .22rem 0;border-bottom:1px solid var(--line);
font-weight:400}thead th{color:var(--soft);font-size:.85rem;white-space:nowrap}.n{text-align:right;white-space:nowrap}
tbody th{min-width:7rem;overflow-wrap:anywhere}td small{color:var(--soft);font-size:.85em}
.t code{white-space:nowrap}
code{font:.92em ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.box{background:var(--card);border:1px solid var(--line);border-radius:.3rem;padding:.5rem .9rem}
.w dt{color:var(--ink);font-weight:600}.w dl{grid-template-columns:minmax(8rem,auto) 1fr;gap:.25rem 1rem}
footer{margin-top:2rem;color:var(--soft);font-size:.9rem}
@media(max-width:40rem){.o .a .q,header nav,.v>.a a:first-of-type{margin-left:0}.say{font-size:1.2rem}.m{padding:.7rem}
.w dl{grid-template-columns:1fr}.w dd{padding-bottom:.3rem}th,td{padding-right:.6rem}
tbody th{min-width:5.8rem}}
@media print{:root{--bg:#fff;--card:#fff}body{font-size:11px;max-width:none}.m,.o>li,.p>li{break-inside:avoid}
header nav,footer nav{display:none}.t{overflow:visible}details::details-content{content-visibility:visible;height:auto}}
""".replace("\n", "")

HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
"""By which the content security policy lets this style sheet in and no other."""
