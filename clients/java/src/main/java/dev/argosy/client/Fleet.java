package dev.argosy.client;

import dev.argosy.inference.GRPCInferenceServiceGrpc;
import dev.argosy.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.argosy.v1.TabularServiceGrpc;
import dev.argosy.v1.TabularServiceGrpc.TabularServiceBlockingStub;
import dev.argosy.v1.TextServiceGrpc;
import dev.argosy.v1.TextServiceGrpc.TextServiceBlockingStub;
import dev.argosy.v1.VisionServiceGrpc;
import dev.argosy.v1.VisionServiceGrpc.VisionServiceBlockingStub;
import io.grpc.ChannelCredentials;
import io.grpc.Deadline;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.health.v1.HealthGrpc.HealthBlockingStub;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;

/**
 * One channel to the fleet for every call: keepalive, message size, deadlines, the model's header and retries.
 *
 * <p>Thread-safe; made once and kept. Java takes no proxy for a loopback address ({@code http.nonProxyHosts}).
 */
final class Fleet implements AutoCloseable {
  private static final Metadata.Key<String> MODEL =
      Metadata.Key.of("argosy-model", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> VERSION =
      Metadata.Key.of("argosy-version", Metadata.ASCII_STRING_MARSHALLER);

  private final ManagedChannel channel;
  private final Duration timeout;

  /** Connects with the first call. Throws IllegalArgumentException where the address or the PEM file is none. */
  Fleet(Flags flags) {
    timeout = flags.timeout();
    channel =
        Grpc.newChannelBuilder(flags.address(), credentials(flags))
            .keepAliveTime(10, TimeUnit.SECONDS)
            .keepAliveTimeout(2, TimeUnit.SECONDS)
            .maxInboundMessageSize(flags.maxMessageBytes())
            .intercept(new RequestLimit(flags.maxMessageBytes()))
            .build();
  }

  VisionServiceBlockingStub vision() {
    return VisionServiceGrpc.newBlockingStub(channel);
  }

  TextServiceBlockingStub text() {
    return TextServiceGrpc.newBlockingStub(channel);
  }

  TabularServiceBlockingStub tabular() {
    return TabularServiceGrpc.newBlockingStub(channel);
  }

  GRPCInferenceServiceBlockingStub tensors() {
    return GRPCInferenceServiceGrpc.newBlockingStub(channel);
  }

  HealthBlockingStub health() {
    return HealthGrpc.newBlockingStub(channel);
  }

  /** Asks again while the fleet says so and the deadline allows; {@code model} is empty where none is named. */
  <S extends AbstractStub<S>, T> Reply<T> call(S stub, String model, Function<S, T> method) {
    Deadline deadline = Deadline.after(timeout.toNanos(), TimeUnit.NANOSECONDS);
    List<Failure> refusals = new ArrayList<>();
    while (true) {
      try {
        return attempt(stub, model, method, deadline, refusals);
      } catch (Failure failure) {
        pause(failure, deadline);
        refusals.add(failure);
      }
    }
  }

  /** One attempt within a timeout of its own. */
  <S extends AbstractStub<S>, T> Reply<T> callOnce(S stub, String model, Function<S, T> method, Duration within) {
    return attempt(stub, model, method, Deadline.after(within.toNanos(), TimeUnit.NANOSECONDS), List.of());
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private <S extends AbstractStub<S>, T> Reply<T> attempt(
      S stub, String model, Function<S, T> method, Deadline deadline, List<Failure> refusals) {
    Metadata header = new Metadata();
    if (!model.isEmpty()) {
      header.put(MODEL, model);
      header.put(VERSION, "");
    }
    AtomicReference<Metadata> headers = new AtomicReference<>();
    AtomicReference<Metadata> trailers = new AtomicReference<>();
    S prepared =
        stub.withDeadline(deadline)
            .withInterceptors(
                MetadataUtils.newAttachHeadersInterceptor(header),
                MetadataUtils.newCaptureMetadataInterceptor(headers, trailers));
    try {
      return new Reply<>(method.apply(prepared), trailers.get(), refusals);
    } catch (StatusRuntimeException error) {
      throw new Failure(error);
    }
  }

  private static void pause(Failure failure, Deadline deadline) {
    Duration delay = failure.retryDelay().orElseThrow(() -> failure);
    if (delay.toNanos() >= deadline.timeRemaining(TimeUnit.NANOSECONDS)) {
      throw failure;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(delay.toNanos());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw failure;
    }
  }

  private static ChannelCredentials credentials(Flags flags) {
    if (flags.tlsCa().isEmpty()) {
      return InsecureChannelCredentials.create();
    }
    try {
      byte[] pem = Files.readAllBytes(flags.tlsCa().get());
      // Read here as well: the channel's own complaint names neither the file nor the flag.
      CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem));
      return TlsChannelCredentials.newBuilder().trustManager(new ByteArrayInputStream(pem)).build();
    } catch (IOException | CertificateException error) {
      throw new IllegalArgumentException("--tls-ca " + flags.tlsCa().get() + ": no certificates in PEM", error);
    }
  }
}
