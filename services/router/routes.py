"""Envoy's route table: from the model and version of a request to a cluster, in one look-up whatever their number.

There are two trees. Where the caller sent the header `argosy-model`, it decides, with `argosy-version`, of which an
empty one means the default. Otherwise the key that the listener made of the message decides (`listener.py`), and so it
does where the headers say no version and it matters which one the message names. What is in neither tree, every method
of the whole fleet, and a step of a sequence without the header that says which, is for the brain.
"""

import re
from collections.abc import Collection, Mapping

from envoy.config.route.v3.route_components_pb2 import RetryPolicy, Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import FilterStateInput
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.regex_pb2 import RegexMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from services.router.clusters import cluster_name
from services.router.methods import FLEET_METHODS
from services.router.xds_types import (
    BRAIN_CLUSTER,
    BUFFER_BYTES,
    FORWARDED_HEADER,
    MODEL_HEADER,
    ROUTES,
    SEQUENCE_HEADER,
    VERSION_HEADER,
    overwritten,
    packed,
    seconds,
)

# The filter state that the listener sets from the message, and how it spells (model, version).
MESSAGE_KEY = "argosy.model_version"

_RETRY_ON = "unavailable,connect-failure,refused-stream,reset"


# Names that are the same in JSON, in a header and in a log.
_ROUTABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def is_routable(model: str, version: str) -> bool:
    """Whether a model-version's names can be looked up as they stand."""
    return bool(_ROUTABLE.fullmatch(model) and _ROUTABLE.fullmatch(version))


def message_key(model: str, version: str) -> str:
    """What the listener makes of a message that names `model` and `version`: two JSON lists, as Envoy prints them."""
    return f'["{model}"]/["{version}"]' if version else f'["{model}"]/[]'


def route_configuration(
    versions: Mapping[str, Mapping[str, tuple[str, ...]]],
    defaults: Mapping[str, str],
    stateful: Collection[tuple[str, str]] = (),
    name: str = ROUTES,
) -> RouteConfiguration:
    """Routes for each version of each model, which `versions` gives with the addresses that have it ready, and for each
    model's default version. `stateful` are those that keep a state.
    """
    by_message: dict[str, Matcher.OnMatch] = {}
    by_header: dict[str, Matcher.OnMatch] = {}
    for model, of_model in versions.items():
        to = {version: _to_steps if (model, version) in stateful else _to_model for version in of_model}
        explicit = {version: to[version](model, version, version) for version in of_model}
        default = to[defaults[model]](model, defaults[model], "") if model in defaults else _to_brain()
        own = {message_key(model, version): route for version, route in {**explicit, "": default}.items()}
        by_message |= own
        if _are_alike(of_model, keeps_state=any((model, version) in stateful for version in of_model)):
            unnamed = default
        else:
            unread = _if_named(FORWARDED_HEADER, default, _to_brain())
            unnamed = _nested(_tree(_message_key_input(), own, unread))
        # A version that is named and not in the tree is for the brain to tell of.
        other = _if_named(VERSION_HEADER, _to_brain(), unnamed)
        by_header[model] = _nested(_tree(_header(VERSION_HEADER), {**explicit, "": default}, other))
    host = VirtualHost(
        name="argosy",
        domains=["*"],
        matcher=_by_path(by_header, by_message),
        # A message is held whole while its model is read, and until it can no longer be tried again.
        request_body_buffer_limit={"value": BUFFER_BYTES},
    )
    return RouteConfiguration(name=name, virtual_hosts=[host], validate_clusters={"value": False})


def _are_alike(addresses: Mapping[str, tuple[str, ...]], *, keeps_state: bool) -> bool:
    """Whether the default version's cluster will do for a message of any version: its endpoints have them all. Steps of
    a sequence go by the hash of their own version's cluster, and are not tried again.
    """
    return len(addresses) == 1 or (not keeps_state and len(set(addresses.values())) == 1)


def _by_path(by_header: Mapping[str, Matcher.OnMatch], by_message: Mapping[str, Matcher.OnMatch]) -> Matcher:
    fleet = {path: _to_brain() for path in sorted(FLEET_METHODS)}
    return _tree(_header(":path"), fleet, _nested(_by_model(by_header, by_message)))


def _by_model(by_header: Mapping[str, Matcher.OnMatch], by_message: Mapping[str, Matcher.OnMatch]) -> Matcher:
    if not by_header:
        return Matcher(on_no_match=_to_brain())
    from_message = _tree(_message_key_input(), by_message, _to_brain())
    # A model that is named and not in the tree is for the brain to tell of.
    return _tree(_header(MODEL_HEADER), by_header, _if_named(MODEL_HEADER, _to_brain(), _nested(from_message)))


def _tree(on: TypedExtensionConfig, routes: Mapping[str, Matcher.OnMatch], otherwise: Matcher.OnMatch) -> Matcher:
    # Protobuf keeps no order in a map; serialising it deterministically does.
    return Matcher(
        matcher_tree=Matcher.MatcherTree(input=on, exact_match_map=Matcher.MatcherTree.MatchMap(map=routes)),
        on_no_match=otherwise,
    )


def _if_named(header: str, route: Matcher.OnMatch, otherwise: Matcher.OnMatch) -> Matcher.OnMatch:
    """`route` where the header is there."""
    named = Matcher.MatcherList.FieldMatcher(predicate=header_matches(header, ".+"), on_match=route)
    return _nested(Matcher(matcher_list=Matcher.MatcherList(matchers=[named]), on_no_match=otherwise))


def _nested(matcher: Matcher) -> Matcher.OnMatch:
    return Matcher.OnMatch(matcher=matcher)


def _header(name: str) -> TypedExtensionConfig:
    return TypedExtensionConfig(name=name, typed_config=packed(HttpRequestHeaderMatchInput(header_name=name)))


def _message_key_input() -> TypedExtensionConfig:
    return TypedExtensionConfig(name=MESSAGE_KEY, typed_config=packed(FilterStateInput(key=MESSAGE_KEY)))


def header_matches(name: str, regex: str) -> Matcher.MatcherList.Predicate:
    """Whether a header is there and its whole value matches."""
    value = StringMatcher(safe_regex=RegexMatcher(google_re2=RegexMatcher.GoogleRE2(), regex=regex))
    predicate = Matcher.MatcherList.Predicate
    return predicate(single_predicate=predicate.SinglePredicate(input=_header(name), value_match=value))


def _to_brain() -> Matcher.OnMatch:
    return _on_match(Route(name=BRAIN_CLUSTER, match=RouteMatch(prefix="/"), route=_action(BRAIN_CLUSTER)))


def _to_steps(model: str, version: str, asked_version: str) -> Matcher.OnMatch:
    """To the endpoint of `version` that keeps the sequence's state; the brain sees to a header that is missing."""
    # Never tried again: a step whose answer was lost may have counted, and no other endpoint has the state.
    action = _action(cluster_name(model, version))
    action.hash_policy.add(header=RouteAction.HashPolicy.Header(header_name=SEQUENCE_HEADER))
    return _if_named(SEQUENCE_HEADER, _on_match(_routed(model, version, asked_version, action)), _to_brain())


def _to_model(model: str, version: str, asked_version: str) -> Matcher.OnMatch:
    """To the cluster of `version`."""
    return _on_match(_routed(model, version, asked_version, _action(cluster_name(model, version), _retry_policy())))


def _routed(model: str, version: str, asked_version: str, action: RouteAction) -> Route:
    """The service is told what was routed, whatever the caller's headers said."""
    headers = {MODEL_HEADER: model, VERSION_HEADER: asked_version}
    return Route(
        name=cluster_name(model, version),
        match=RouteMatch(prefix="/"),
        route=action,
        request_headers_to_add=[overwritten(name, value) for name, value in headers.items() if value],
        request_headers_to_remove=[FORWARDED_HEADER, *(name for name, value in headers.items() if not value)],
    )


def _on_match(route: Route) -> Matcher.OnMatch:
    return Matcher.OnMatch(action=TypedExtensionConfig(name="route", typed_config=packed(route)))


def _action(cluster: str, retry_policy: RetryPolicy | None = None) -> RouteAction:
    """No time limit but the caller's own deadline, which is enforced here and passed on."""
    return RouteAction(
        cluster=cluster,
        timeout=seconds(0),
        idle_timeout=seconds(0),
        max_stream_duration=RouteAction.MaxStreamDuration(grpc_timeout_header_max=seconds(0)),
        retry_policy=retry_policy,
    )


def _retry_policy() -> RetryPolicy:
    """One more attempt, on another endpoint, where the first one cannot have answered: inference changes nothing."""
    return RetryPolicy(
        retry_on=_RETRY_ON,
        num_retries={"value": 1},
        retry_host_predicate=[
            RetryPolicy.RetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts", typed_config=packed(PreviousHostsPredicate())
            )
        ],
        # A dead endpoint has nothing in flight and so is the first choice three times in four: draw until it is not.
        host_selection_retry_max_attempts=50,
        retry_back_off=RetryPolicy.RetryBackOff(base_interval=seconds(0.005), max_interval=seconds(0.05)),
    )
