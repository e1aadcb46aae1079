#!/bin/sh
# A step of a pipeline, after a canary has been given traffic: waits for the verdict on its model and acts on it.
#
#   PROMETHEUS=http://prometheus:9090 WAIT=2h PROMOTE='...' ROLL_BACK='...' sh pipeline.sh MODEL VERSION
#
# PROMOTE and ROLL_BACK are commands. The status is 0 after promoting, 1 after rolling back, and 2 if WAIT was not long
# enough: then the canary stays as it is, and the step can be run again. Anything else is a fault; nothing was done.
set -u

status=0
tidegauge verdict --model "$1" --version "$2" --prometheus "$PROMETHEUS" --wait "${WAIT:-30m}" || status=$?
case $status in
0)
    sh -c "$PROMOTE" || exit 70
    ;;
1)
    sh -c "$ROLL_BACK" || exit 70
    exit 1
    ;;
2)
    echo "undecided: $1 $2 stays a canary" >&2
    exit 2
    ;;
*)
    echo "no verdict was asked for: status $status" >&2
    exit 70
    ;;
esac
