package dev.argosy.client;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Predicate;

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

  /** Throws IllegalArgumentException, whose message says which flag is wrong. */
  static Flags parse(String[] arguments) {
    Flags flags = defaults();
    for (int index = 0; index < arguments.length; index += 2) {
      if (index + 1 == arguments.length) {
        throw new IllegalArgumentException(arguments[index] + ": an unknown flag, or one without its value");
      }
      flags = flags.with(arguments[index], arguments[index + 1]);
    }
    return flags;
  }

  private static Flags defaults() {
    return new Flags(
        "127.0.0.1:8500",
        Path.of("clients", "samples"),
        Optional.empty(),
        Duration.ofSeconds(10),
        Optional.empty(),
        "digits",
        64 << 20,
        Optional.empty());
  }

  private Flags with(String flag, String value) {
    return switch (flag) {
      case "--address" -> new Flags(value, samples, tlsCa, timeout, only, model, maxMessageBytes, cancelAfter);
      case "--samples" -> new Flags(
          address, Path.of(value), tlsCa, timeout, only, model, maxMessageBytes, cancelAfter);
      case "--tls-ca" -> new Flags(
          address, samples, Optional.of(Path.of(value)), timeout, only, model, maxMessageBytes, cancelAfter);
      case "--timeout-s" -> new Flags(
          address, samples, tlsCa, seconds(flag, value), only, model, maxMessageBytes, cancelAfter);
      case "--only" -> new Flags(
          address, samples, tlsCa, timeout, Optional.of(value), model, maxMessageBytes, cancelAfter);
      case "--model" -> new Flags(address, samples, tlsCa, timeout, only, value, maxMessageBytes, cancelAfter);
      case "--max-message-bytes" -> new Flags(
          address, samples, tlsCa, timeout, only, model, whole(flag, value), cancelAfter);
      case "--cancel-after-ms" -> new Flags(
          address, samples, tlsCa, timeout, only, model, maxMessageBytes, Optional.of(millis(flag, value)));
      default -> throw new IllegalArgumentException("unknown flag " + flag);
    };
  }

  private static Duration seconds(String flag, String value) {
    double number = number(flag, value, it -> it > 0 && it < 1e9);
    return Duration.ofNanos(Math.round(number * 1e9));
  }

  private static Duration millis(String flag, String value) {
    return Duration.ofMillis(whole(flag, value));
  }

  private static int whole(String flag, String value) {
    return (int) number(flag, value, it -> it >= 0 && it <= Integer.MAX_VALUE && it == Math.rint(it));
  }

  private static double number(String flag, String value, Predicate<Double> fits) {
    try {
      double number = Double.parseDouble(value);
      if (fits.test(number)) {
        return number;
      }
    } catch (NumberFormatException noNumber) {
      // Said below, as for a number that does not fit.
    }
    throw new IllegalArgumentException(flag + " " + value + ": not a number that it takes");
  }
}
