import pytest

from agenttrace.endpoint import resolve


def test_without_anything_it_is_the_local_server() -> None:
    endpoint = resolve(environment={})

    assert endpoint.traces_url == "http://127.0.0.1:4318/v1/traces"
    assert endpoint.url == "http://127.0.0.1:4318"
    assert endpoint.compression == "gzip"
    assert endpoint.timeout == 10.0


@pytest.mark.parametrize(
    ("given", "posted_to", "server"),
    [
        ("http://host:1234", "http://host:1234/v1/traces", "http://host:1234"),
        ("http://host:1234/", "http://host:1234/v1/traces", "http://host:1234"),
        ("http://host:1234/v1/traces", "http://host:1234/v1/traces", "http://host:1234"),
        ("https://host/prefix", "https://host/prefix/v1/traces", "https://host/prefix"),
        ("host:1234", "http://host:1234/v1/traces", "http://host:1234"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces", "http://[::1]:4318"),
    ],
)
def test_the_path_is_added_where_it_is_missing(given: str, posted_to: str, server: str) -> None:
    endpoint = resolve(given, environment={})

    assert (endpoint.traces_url, endpoint.url) == (posted_to, server)


def test_the_endpoint_of_traces_is_taken_as_it_is_and_before_the_general_one() -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://general:4318",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:4318/api/otel/v1/traces",
    }

    assert resolve(environment=environment).traces_url == "http://traces:4318/api/otel/v1/traces"
    assert resolve("http://mine", environment=environment).traces_url == "http://mine/v1/traces"


def test_every_standard_variable_is_read() -> None:
    endpoint = resolve(
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc, x-tenant = one,broken",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
        }
    )

    assert endpoint.traces_url == "https://collector/v1/traces"
    assert dict(endpoint.headers) == {"authorization": "Bearer abc", "x-tenant": "one"}
    assert endpoint.timeout == 3.0
    assert endpoint.compression == "none"
    assert endpoint.certificate == "/ca.pem"


def test_a_timeout_in_the_specifications_milliseconds_is_understood() -> None:
    assert resolve(environment={"OTEL_EXPORTER_OTLP_TIMEOUT": "5000"}).timeout == 5.0


def test_arguments_win_over_the_environment() -> None:
    endpoint = resolve(
        headers={"x": "mine"},
        timeout=1.0,
        compression="deflate",
        environment={"OTEL_EXPORTER_OTLP_HEADERS": "x=theirs,y=2"},
    )

    assert dict(endpoint.headers) == {"x": "mine", "y": "2"}
    assert (endpoint.timeout, endpoint.compression) == (1.0, "deflate")


@pytest.mark.parametrize("wrong", ["ftp://host", "http://", "http://host:port", "unix:///x"])
def test_what_is_no_http_url_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"is no http\(s\) URL; an endpoint looks like http://127"):
        resolve(wrong, environment={})
