package dev.argosy.client;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoublePredicate;

/** What the flags ask for; {@code only} is empty for every step. */
record Flags(
    String address,
    Path samples,
    Optional<Path> tlsCa,
    Duration timeout,
    Optional<String> only,
    String model,
    int maxMessageBytes,
    Optional<Duration> cancelAfter) {

  /** Every flag; empty where it is absent by default. */
  private static final Map<String, String> DEFAULTS =
      Map.of(
          "--address", "127.0.0.1:8500",
          "--samples", "clients/samples",
          "--tls-ca", "",
          "--timeout-s", "10",
          "--only", "",
          "--model", "digits",
          "--max-message-bytes", "67108864",
          "--cancel-after-ms", "");

  /** Throws IllegalArgumentException, whose message says which flag is wrong. */
  static Flags parse(String[] arguments) {
    Map<String, String> values = new HashMap<>(DEFAULTS);
    for (int index = 0; index < arguments.length; index += 2) {
      String flag = arguments[index];
      if (!DEFAULTS.containsKey(flag)) {
        throw new IllegalArgumentException("unknown flag " + flag);
      }
      if (index + 1 == arguments.length) {
        throw new IllegalArgumentException(flag + ": its value is missing");
      }
      values.put(flag, arguments[index + 1]);
    }
    return new Flags(
        values.get("--address"),
        Path.of(values.get("--samples")),
        text(values, "--tls-ca").map(Path::of),
        Duration.ofNanos(Math.round(number(values, "--timeout-s", it -> it > 0 && it < 1e9) * 1e9)),
        text(values, "--only"),
        values.get("--model"),
        whole(values, "--max-message-bytes"),
        text(values, "--cancel-after-ms").map(given -> Duration.ofMillis(whole(values, "--cancel-after-ms"))));
  }

  private static Optional<String> text(Map<String, String> values, String flag) {
    return Optional.of(values.get(flag)).filter(value -> !value.isEmpty());
  }

  private static int whole(Map<String, String> values, String flag) {
    return (int) number(values, flag, it -> it >= 0 && it <= Integer.MAX_VALUE && it == Math.rint(it));
  }

  private static double number(Map<String, String> values, String flag, DoublePredicate fits) {
    try {
      double number = Double.parseDouble(values.get(flag));
      if (fits.test(number)) {
        return number;
      }
    } catch (NumberFormatException notANumber) {
      // Said below, as for a number that does not fit.
    }
    throw new IllegalArgumentException(flag + " " + values.get(flag) + ": not a number that it takes");
  }
}
