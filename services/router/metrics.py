"""The brain's own Prometheus metrics. What Envoy counts is Envoy's to tell (`http_server.py` passes it on)."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.router.inventory import Inventory, Link


class RouterMetrics:
    """All metrics of one router, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.endpoints = Gauge(
            "argosy_router_endpoints", "Endpoints by service and state.", ["service", "state"], registry=self.registry
        )
        self.ready_endpoints = Gauge(
            "argosy_router_ready_endpoints",
            "Endpoints that have a model-version ready.",
            ["model", "version"],
            registry=self.registry,
        )
        self.ads_responses = Counter(
            "argosy_router_ads_responses", "What was sent to Envoy, by type.", ["type"], registry=self.registry
        )
        self.ads_rejections = Counter(
            "argosy_router_ads_rejections", "What Envoy rejected, by type.", ["type"], registry=self.registry
        )
        self.fallback_requests = Counter(
            "argosy_router_fallback_requests",
            "Requests that Envoy could not place, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.envoy_exits = Counter(
            "argosy_router_envoy_exits", "Times that Envoy ended by itself.", registry=self.registry
        )

    def show(self, inventory: Inventory) -> None:
        """Set the gauges to what there is now."""
        self.endpoints.clear()
        self.ready_endpoints.clear()
        for endpoint in inventory.endpoints.values():
            for link in Link:
                self.endpoints.labels(endpoint.service, link.value).inc(link is endpoint.link)
        for (model, version), addresses in inventory.ready_addresses().items():
            self.ready_endpoints.labels(model, version).set(len(addresses))
