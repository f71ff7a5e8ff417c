package dev.argosy.client;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The inputs on disk. IllegalArgumentException where one cannot be read: the flag that names the folder is wrong. */
record Samples(Path folder) {

  ByteString seven() {
    return ByteString.copyFrom(bytes("seven.png"));
  }

  List<String> sentences() {
    return ByteString.copyFrom(bytes("sentences.txt")).toStringUtf8().lines().toList();
  }

  List<Struct> rows(String model) {
    String name = model + ".jsonl";
    return ByteString.copyFrom(bytes(name)).toStringUtf8().lines().map(line -> row(name, line)).toList();
  }

  private static Struct row(String name, String line) {
    Struct.Builder row = Struct.newBuilder();
    try {
      JsonFormat.parser().merge(line, row);
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalArgumentException(name + ": not a JSON object a line", error);
    }
    return row.build();
  }

  private byte[] bytes(String name) {
    try {
      return Files.readAllBytes(folder.resolve(name));
    } catch (IOException error) {
      throw new IllegalArgumentException(folder.resolve(name) + ": cannot be read", error);
    }
  }
}
