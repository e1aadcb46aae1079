// How a Java service logs for Tidegauge: Java 17, standard library only.
//
//     java JavaService.java DIRECTORY [REQUESTS]
//
// answers so many requests from eight threads and writes DIRECTORY/predictions.jsonl and DIRECTORY/feedback.jsonl.
// Copy LineLog, Json and now; the rest stands in for your service. If your service has a JSON library, use that.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeoutException;

public final class JavaService {

    /**
     * Appends records to a file, one JSON object a line; threads and processes may share the file.
     *
     * A line goes out in one write to a channel opened for appending, so that lines of several writers never mix, and a
     * crash tears the last one at most. Put no BufferedWriter around it. No force(): a lost second of log is cheaper
     * than a slow answer. When rotation has renamed the file, the next line begins a new one.
     */
    static final class LineLog {
        private final Path path;
        private FileChannel channel;
        private Object key; // device and inode of the open file

        LineLog(Path path) {
            this.path = path;
        }

        synchronized void write(Map<String, ?> fields) throws IOException {
            ByteBuffer line = ByteBuffer.wrap((Json.of(fields) + "\n").getBytes(StandardCharsets.UTF_8));
            if (channel == null || !key.equals(keyOf(path))) {
                if (channel != null) {
                    channel.close();
                }
                channel = FileChannel.open(
                        path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
                key = keyOf(path);
            }
            channel.write(line);
            if (line.hasRemaining()) {
                throw new IOException("the disk is full: a line of " + path + " is torn");
            }
        }

        private static Object keyOf(Path path) throws IOException {
            try {
                return Files.readAttributes(path, BasicFileAttributes.class).fileKey();
            } catch (NoSuchFileException gone) {
                return "gone";
            }
        }
    }

    /** Text, numbers, booleans and maps as JSON. */
    static final class Json {
        static String of(Object value) {
            if (value == null || value instanceof Boolean) {
                return String.valueOf(value);
            }
            if (value instanceof Number number) {
                if (!Double.isFinite(number.doubleValue())) {
                    throw new IllegalArgumentException("JSON has no " + number);
                }
                return number.toString();
            }
            if (value instanceof Map<?, ?> map) {
                List<String> members = new ArrayList<>();
                map.forEach((name, inner) -> members.add(of(name.toString()) + ":" + of(inner)));
                return "{" + String.join(",", members) + "}";
            }
            StringBuilder text = new StringBuilder("\"");
            for (char letter : value.toString().toCharArray()) {
                if (letter == '"' || letter == '\\') {
                    text.append('\\').append(letter);
                } else if (letter < ' ') {
                    text.append(String.format("\\u%04x", (int) letter));
                } else {
                    text.append(letter);
                }
            }
            return text.append('"').toString();
        }
    }

    /** RFC 3339 in UTC, with the Z that says so. */
    static String now() {
        return Instant.now().truncatedTo(ChronoUnit.MILLIS).toString();
    }

    /** Stands in for a model: the probability of fraud, or an exception. */
    static double answer(double amount) throws TimeoutException, InterruptedException {
        Thread.sleep(1);
        if (amount > 990) {
            throw new TimeoutException("the feature store did not answer");
        }
        return amount / 1000;
    }

    /** Answers one request and logs it; the id under which feedback will come. */
    static String serve(LineLog log) throws IOException, InterruptedException {
        double amount = ThreadLocalRandom.current().nextDouble(1000);
        long started = System.nanoTime();
        Map<String, Object> record = new LinkedHashMap<>();
        String id = UUID.randomUUID().toString(); // one id a prediction, made here, handed out with the answer
        record.put("prediction_id", id);
        record.put("timestamp", now());
        record.put("model", "fraud");
        record.put("version", "v1");
        // Only what is worth watching: never names, card numbers, tokens or free text of users.
        record.put("features", Map.of("amount", amount, "shop", "Käthe's \"Eck\" \\ 角\t"));
        try {
            double score = answer(amount);
            record.put("prediction", score >= 0.5 ? "1" : "0");
            record.put("score", score);
        } catch (TimeoutException failure) {
            record.put("error", failure.getMessage()); // a failed request is logged too, with the reason
        }
        record.put("latency_ms", (System.nanoTime() - started) / 1000 / 1000.0);
        log.write(record);
        return id;
    }

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        int requests = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 1000;
        LineLog predictions = new LineLog(directory.resolve("predictions.jsonl"));
        LineLog feedback = new LineLog(directory.resolve("feedback.jsonl"));
        var pool = Executors.newFixedThreadPool(8);
        List<Future<?>> done = new ArrayList<>();
        for (int i = 0; i < requests; i++) {
            done.add(pool.submit(() -> {
                String id = serve(predictions);
                // When the truth arrives, minutes or weeks later; here at once.
                String label = String.valueOf(ThreadLocalRandom.current().nextInt(2));
                feedback.write(Map.of("prediction_id", id, "timestamp", now(), "label", label));
                return null;
            }));
        }
        pool.shutdown();
        for (Future<?> one : done) {
            one.get();
        }
    }
}
