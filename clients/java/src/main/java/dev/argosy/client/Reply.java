package dev.argosy.client;

import io.grpc.Metadata;
import java.util.List;

/** What a call was answered, its trailers, and the refusals that were retried before, first one first. */
record Reply<T>(T message, Metadata trailers, List<Failure> refusals) {}
