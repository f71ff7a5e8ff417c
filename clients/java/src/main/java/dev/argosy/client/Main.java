package dev.argosy.client;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.logging.Level;
import java.util.logging.Logger;

/** The program: flags in, the steps' lines out; exit code 1 for a call that failed, 2 for a flag or a sample. */
public final class Main {
  /** Silent, for what it logs of a call is in that call's error too. Held here, for the level is lost with the logger. */
  private static final Logger GRPC = Logger.getLogger("io.grpc");

  private Main() {}

  public static void main(String[] arguments) {
    GRPC.setLevel(Level.OFF);
    System.exit(exitCode(arguments));
  }

  private static int exitCode(String[] arguments) {
    try {
      run(Flags.parse(arguments));
      return 0;
    } catch (Failure failure) {
      System.err.println("error: " + failure.line());
      return 1;
    } catch (IllegalArgumentException wrong) {
      System.err.println("error: " + wrong.getMessage());
      return 2;
    } catch (Exception unexpected) {
      System.err.println("error: UNKNOWN: " + unexpected);
      return 1;
    }
  }

  private static void run(Flags flags) throws Exception {
    try (Fleet fleet = new Fleet(flags)) {
      Map<String, Callable<List<String>>> steps = steps(new Steps(flags, fleet));
      for (String name : flags.only().map(List::of).orElse(List.copyOf(steps.keySet()))) {
        if (!steps.containsKey(name)) {
          throw new IllegalArgumentException("--only " + name + ": none of " + String.join(", ", steps.keySet()));
        }
        steps.get(name).call().forEach(System.out::println);
      }
    }
  }

  private static Map<String, Callable<List<String>>> steps(Steps steps) {
    Map<String, Callable<List<String>>> inOrder = new LinkedHashMap<>();
    inOrder.put("image", steps::image);
    inOrder.put("embedding", steps::embedding);
    inOrder.put("table", steps::table);
    inOrder.put("tensor", steps::tensor);
    inOrder.put("deadline", steps::deadline);
    inOrder.put("wrong-input", steps::wrongInput);
    inOrder.put("refusal", steps::refusal);
    inOrder.put("health", steps::health);
    return inOrder;
  }
}
