package dev.argosy.client;

import com.google.protobuf.ByteString;
import dev.argosy.inference.ModelInferRequest;
import dev.argosy.inference.ModelInferResponse;
import dev.argosy.v1.Category;
import dev.argosy.v1.RowPrediction;
import dev.argosy.v1.TabularServicePredictRequest;
import dev.argosy.v1.TextServiceEmbedRequest;
import dev.argosy.v1.TextServiceEmbedResponse;
import dev.argosy.v1.VisionServiceClassifyRequest;
import dev.argosy.v1.VisionServiceClassifyResponse;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckRequest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** The eight things of clients/README.md. Each answers the lines that all languages print alike, and throws Failure. */
final class Steps {
  private static final String TEXT_MODEL = "minilm";
  private static final int EDGE = 28;

  private final Flags flags;
  private final Fleet fleet;
  private final Samples samples;

  Steps(Flags flags, Fleet fleet) {
    this.flags = flags;
    this.fleet = fleet;
    this.samples = new Samples(flags.samples());
  }

  List<String> image() {
    Reply<VisionServiceClassifyResponse> reply = classify(List.of(samples.seven()));
    Category best = reply.message().getResults(0).getCategories(0);
    String trailers =
        reply.trailers().keys().stream()
            .filter(name -> name.startsWith("argosy-"))
            .sorted()
            .collect(Collectors.joining(" "));
    return List.of(text("image: %s %.3f", best.getLabel(), best.getScore()), "trailers: " + trailers);
  }

  List<String> embedding() throws Exception {
    TextServiceEmbedResponse reply =
        flags.cancelAfter().isEmpty()
            ? embed(samples.sentences())
            : cancelledAfter(flags.cancelAfter().get(), () -> embed(manySentences()));
    List<Float> first = reply.getResults(0).getEmbedding().getValuesList();
    List<Float> second = reply.getResults(1).getEmbedding().getValuesList();
    double cosine = dot(first, second) / Math.sqrt(dot(first, first) * dot(second, second));
    return List.of(text("embedding: %d values, cosine %.3f", first.size(), cosine));
  }

  List<String> table() {
    List<String> lines = new ArrayList<>();
    for (String model : List.of("diabetes", "income")) {
      TabularServicePredictRequest request =
          TabularServicePredictRequest.newBuilder().setModel(model).addAllRows(samples.rows(model)).build();
      List<RowPrediction> rows =
          fleet.call(fleet.tabular(), model, stub -> stub.predict(request)).message().getResultsList();
      for (int index = 0; index < rows.size(); index++) {
        lines.add(text("table: %s row %d: %s", model, index + 1, rowText(rows.get(index))));
      }
    }
    return lines;
  }

  List<String> tensor() {
    ModelInferRequest.InferInputTensor image =
        ModelInferRequest.InferInputTensor.newBuilder()
            .setName("image")
            .setDatatype("FP32")
            .addAllShape(List.of(1L, (long) EDGE, (long) EDGE, 1L))
            .build();
    ModelInferRequest request =
        ModelInferRequest.newBuilder()
            .setModelName(flags.model())
            .addInputs(image)
            .addRawInputContents(drawnOne())
            .build();
    ModelInferResponse reply =
        fleet.call(fleet.tensors(), flags.model(), stub -> stub.modelInfer(request)).message();
    FloatBuffer values =
        reply.getRawOutputContents(0).asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
    int likeliest = 0;
    for (int index = 1; index < values.remaining(); index++) {
      likeliest = values.get(index) > values.get(likeliest) ? index : likeliest;
    }
    ModelInferResponse.InferOutputTensor output = reply.getOutputs(0);
    return List.of(
        text(
            "tensor: %s %s %s, likeliest %d %.3f",
            output.getName(), output.getDatatype(), output.getShapeList(), likeliest, values.get(likeliest)));
  }

  List<String> deadline() {
    TextServiceEmbedRequest request = embedRequest(manySentences());
    try {
      fleet.callOnce(fleet.text(), TEXT_MODEL, stub -> stub.embed(request), Duration.ofMillis(5));
    } catch (Failure failure) {
      return List.of("deadline: " + expected(failure, Status.Code.DEADLINE_EXCEEDED).code());
    }
    return List.of("deadline: OK");
  }

  List<String> wrongInput() {
    try {
      classify(List.of(ByteString.copyFromUtf8("not an image")));
    } catch (Failure failure) {
      return List.of("wrong-input: " + expected(failure, Status.Code.INVALID_ARGUMENT).summary());
    }
    return List.of("wrong-input: OK");
  }

  List<String> refusal() throws Exception {
    return List.of("refusal: " + Refusal.of(() -> classify(Collections.nCopies(300, samples.seven()))));
  }

  List<String> health() {
    return List.of(text("health: fleet %s, %s %s", health(""), flags.model(), health(flags.model())));
  }

  private Reply<VisionServiceClassifyResponse> classify(List<ByteString> images) {
    VisionServiceClassifyRequest request =
        VisionServiceClassifyRequest.newBuilder().setModel(flags.model()).addAllImages(images).setTopK(1).build();
    return fleet.call(fleet.vision(), flags.model(), stub -> stub.classify(request));
  }

  private TextServiceEmbedResponse embed(List<String> texts) {
    TextServiceEmbedRequest request = embedRequest(texts);
    return fleet.call(fleet.text(), TEXT_MODEL, stub -> stub.embed(request)).message();
  }

  private static TextServiceEmbedRequest embedRequest(List<String> texts) {
    return TextServiceEmbedRequest.newBuilder().setModel(TEXT_MODEL).addAllTexts(texts).build();
  }

  private List<String> manySentences() {
    return Collections.nCopies(100, samples.sentences()).stream().flatMap(List::stream).toList();
  }

  private String health(String service) {
    HealthCheckRequest request = HealthCheckRequest.newBuilder().setService(service).build();
    return fleet.call(fleet.health(), "", stub -> stub.check(request)).message().getStatus().name();
  }

  private static TextServiceEmbedResponse cancelledAfter(
      Duration delay, Callable<TextServiceEmbedResponse> call) throws Exception {
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    try (CancellableContext context = Context.current().withCancellation()) {
      CancellationException reason = new CancellationException("--cancel-after-ms " + delay.toMillis());
      timer.schedule(() -> context.cancel(reason), delay.toMillis(), TimeUnit.MILLISECONDS);
      return context.call(call);
    } finally {
      timer.shutdownNow();
    }
  }

  private static Failure expected(Failure failure, Status.Code code) {
    if (failure.code() != code) {
      throw failure;
    }
    return failure;
  }

  private static String rowText(RowPrediction row) {
    String quantities =
        row.getQuantitiesList().stream()
            .map(quantity -> text("%s %.1f", quantity.getName(), quantity.getValue()))
            .collect(Collectors.joining(" "));
    String answer = quantities;
    if (row.getCategoriesCount() > 0) {
      answer = text("%s %.3f", row.getCategories(0).getLabel(), row.getCategories(0).getScore());
    }
    List<String> imputed = row.getImputedColumnsList().stream().sorted().toList();
    return imputed.isEmpty() ? answer : answer + text(" (imputed %s)", String.join(" ", imputed));
  }

  private static ByteString drawnOne() {
    ByteBuffer pixels = ByteBuffer.allocate(EDGE * EDGE * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int row = 0; row < EDGE; row++) {
      for (int column = 0; column < EDGE; column++) {
        pixels.putFloat(row >= 4 && row < 24 && column >= 13 && column < 15 ? 1 : 0);
      }
    }
    return ByteString.copyFrom(pixels.flip());
  }

  private static double dot(List<Float> left, List<Float> right) {
    double sum = 0;
    for (int index = 0; index < left.size(); index++) {
      sum += left.get(index).doubleValue() * right.get(index);
    }
    return sum;
  }

  /** The point is a point wherever the program runs. */
  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
