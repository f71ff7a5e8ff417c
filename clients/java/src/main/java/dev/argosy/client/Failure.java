package dev.argosy.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.Durations;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A call that failed, with what the fleet says of it beyond the status. Reason and field may be empty. */
final class Failure extends RuntimeException {
  private final Status status;
  private final String reason;
  private final String field;
  private final Optional<Duration> retryDelay;

  Failure(StatusRuntimeException error) {
    super(message(error.getStatus()), error);
    com.google.rpc.Status details = StatusProto.fromThrowable(error);
    ErrorInfo info = detail(details, ErrorInfo.class).orElse(ErrorInfo.getDefaultInstance());
    status = error.getStatus();
    reason = info.getReason();
    field = info.getMetadataOrDefault("field", "");
    retryDelay =
        detail(details, RetryInfo.class).map(it -> Duration.ofNanos(Durations.toNanos(it.getRetryDelay())));
  }

  Status.Code code() {
    return status.getCode();
  }

  /** When the fleet wants to be asked again; empty where it must not be. */
  Optional<Duration> retryDelay() {
    boolean refused = code() == Status.Code.UNAVAILABLE || code() == Status.Code.RESOURCE_EXHAUSTED;
    return refused ? retryDelay : Optional.empty();
  }

  /** {@code STATUS REASON}, or the status alone. */
  String statusAndReason() {
    return words(code().name(), reason);
  }

  /** {@code STATUS REASON field=FIELD}, of which the last two may be missing. */
  String summary() {
    return words(code().name(), reason, field.isEmpty() ? "" : "field=" + field);
  }

  /** The line that the program ends with. */
  String line() {
    return getMessage().isEmpty() ? summary() : summary() + ": " + getMessage().replaceAll("\\R", " ");
  }

  private static String words(String... words) {
    return Stream.of(words).filter(word -> !word.isEmpty()).collect(Collectors.joining(" "));
  }

  /** grpc-java says "io exception" and keeps the operating system's words in the cause. */
  private static String message(Status status) {
    String description = status.getDescription() == null ? "" : status.getDescription();
    String cause = status.getCause() == null ? null : status.getCause().getMessage();
    if (cause == null || description.contains(cause)) {
      return description;
    }
    return description.isEmpty() ? cause : description + ": " + cause;
  }

  private static <T extends Message> Optional<T> detail(com.google.rpc.Status details, Class<T> type) {
    if (details == null) {
      return Optional.empty();
    }
    return details.getDetailsList().stream().filter(it -> it.is(type)).findFirst().flatMap(it -> unpack(it, type));
  }

  private static <T extends Message> Optional<T> unpack(Any any, Class<T> type) {
    try {
      return Optional.of(any.unpack(type));
    } catch (InvalidProtocolBufferException damaged) {
      return Optional.empty();
    }
  }
}
