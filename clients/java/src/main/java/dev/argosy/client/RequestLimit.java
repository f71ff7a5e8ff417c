package dev.argosy.client;

import com.google.protobuf.MessageLite;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.MethodDescriptor;
import io.grpc.Status;

/**
 * Refuses a request that is too large before it is sent.
 *
 * <p>grpc-java has {@code withMaxOutboundMessageSize}, but what that throws while the channel is still connecting is
 * logged and lost, and the call then never ends.
 */
record RequestLimit(int maxBytes) implements ClientInterceptor {

  @Override
  public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void sendMessage(Q request) {
        int bytes = ((MessageLite) request).getSerializedSize();
        if (bytes > maxBytes) {
          throw Status.RESOURCE_EXHAUSTED
              .withDescription("request of " + bytes + " bytes, at most " + maxBytes + " are sent")
              .asRuntimeException();
        }
        super.sendMessage(request);
      }
    };
  }
}
