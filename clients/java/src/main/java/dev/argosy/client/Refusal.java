package dev.argosy.client;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** What became of more calls than the fleet's queue takes at once. */
final class Refusal {
  private static final int CALLS_AT_ONCE = 16;

  private Refusal() {}

  /** {@code STATUS REASON, M of 16 answered after retries}. A call counts as unanswered if it was refused to the end. */
  static <T> String of(Callable<Reply<T>> call) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(CALLS_AT_ONCE);
    try {
      return summary(threads.invokeAll(Collections.nCopies(CALLS_AT_ONCE, call)));
    } finally {
      threads.shutdownNow();
    }
  }

  private static <T> String summary(List<Future<Reply<T>>> calls) throws Exception {
    int answered = 0;
    List<Failure> refusals = new ArrayList<>();
    for (Future<Reply<T>> call : calls) {
      Optional<Reply<T>> reply = answerOf(call);
      answered += reply.isPresent() ? 1 : 0;
      reply.ifPresent(it -> refusals.addAll(it.refusals()));
    }
    String first = refusals.isEmpty() ? "OK" : refusals.get(0).statusAndReason();
    return first + ", " + answered + " of " + CALLS_AT_ONCE + " answered after retries";
  }

  private static <T> Optional<Reply<T>> answerOf(Future<Reply<T>> call) throws Exception {
    try {
      return Optional.of(call.get());
    } catch (ExecutionException error) {
      if (error.getCause() instanceof Failure failure && failure.retryDelay().isPresent()) {
        return Optional.empty();
      }
      throw (Exception) error.getCause();
    }
  }
}
