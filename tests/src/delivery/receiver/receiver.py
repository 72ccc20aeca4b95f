"""Receivers of samples, as others write them: HTTP, UDP and TCP, OpenTelemetry's protocol and oslo.messaging.

receiver.py KIND FOLDER [WHAT]: prints its port, and appends what comes to FOLDER/received, a line of JSON for each
sample. How it behaves stands in FOLDER/mode, which is looked at for each request:

    take               everything
    status N [METER]   answers with status N, to all or to what has a sample of this meter
    some N             answers with status N to what has a sample of some resources, two of five
    flap N             answers every other request with status N
    most N             takes no more than N samples at once
    partial N          takes all but N data points of each request, and says that it does (OpenTelemetry)
    late N             answers after so many milliseconds
    slow               answers only after the mode has changed
    each N             takes everything, and answers N milliseconds later for each sample (HTTP)
    shut N             reads no more than N bytes of a request, and ends the connection when there are more (HTTP)
"""

import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import zlib
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND, FOLDER, MORE = sys.argv[1], sys.argv[2], sys.argv[3:]
SECRET = "hush-hush"
LOCK = threading.Lock()
RECEIVED = open(os.path.join(FOLDER, "received"), "a", encoding="utf-8")
REQUESTS = [0]


def mode():
    with open(os.path.join(FOLDER, "mode"), encoding="utf-8") as file:
        return file.read().split()


def receive(samples):
    with LOCK:
        for sample in samples:
            RECEIVED.write(json.dumps(sample) + "\n")
        RECEIVED.flush()


def status(samples, ok):
    """What to answer to samples, by their meters and resources, and how many of them not to take."""
    with LOCK:
        REQUESTS[0] += 1
        number = REQUESTS[0]
    said = mode()
    while said == ["slow"]:
        time.sleep(0.02)
        said = mode()
    if said[0] == "late":
        time.sleep(int(said[1]) / 1000)
    if said[0] == "status" and (len(said) == 2 or said[2] in [meter for meter, _ in samples]):
        return int(said[1]), 0
    if said[0] == "some" and any(zlib.crc32(resource.encode()) % 5 < 2 for _, resource in samples):
        return int(said[1]), 0
    if said[0] == "flap" and number % 2 == 0:
        return int(said[1]), 0
    if said[0] == "most" and len(samples) > int(said[1]):
        return 8 if ok == 0 else 413, 0
    return ok, int(said[1]) if said[0] == "partial" else 0


# --- HTTP


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, content_type=None, body=b""):
        self.send_response(code)
        if content_type:
            self.send_header("Content-Type", content_type)
        if code == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        length, said = int(self.headers["Content-Length"]), mode()
        if said[0] == "shut" and length > int(said[1]):
            self.close_connection = True
            return
        body = self.rfile.read(length)
        (of_metrics if KIND == "otlp-http" else of_samples)(self, body)


def of_samples(handler, body):
    samples = json.loads(body)
    assert handler.headers["Content-Type"] == "application/json"
    alone = isinstance(samples, dict)
    samples = [samples] if alone else samples
    code, _ = status([(sample["name"], sample["resource_id"]) for sample in samples], 201)
    if code == 201:
        request = {
            "path": handler.path,
            "authorization": handler.headers["Authorization"],
            "token": handler.headers["X-Token"],
            "alone": alone,
        }
        receive({"sample": sample, "request": request} for sample in samples)
        said = mode()
        if said[0] == "each":
            time.sleep(len(samples) * int(said[1]) / 1000)
    handler.answer(code)


def serve_http():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if MORE:
        certificate, key, authority = MORE
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    say(server.server_port)
    server.serve_forever()


# --- MessagePack


def unpacked(data):
    import msgpack
    from ceilometer.publisher import utils

    sample = msgpack.unpackb(data, raw=False, strict_map_key=True)
    assert utils.verify_signature(sample, SECRET), sample
    return sample


def serve_udp():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    receiver.bind(("127.0.0.1", int(MORE[0]) if MORE else 0))
    say(receiver.getsockname()[1])
    while True:
        receive([unpacked(receiver.recv(1 << 16))])


def serve_tcp():
    listener = socket.create_server(("127.0.0.1", 0))
    say(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=read_stream, args=(connection,), daemon=True).start()


def read_stream(connection):
    stream = connection.makefile("rb")
    while True:
        head = stream.read(8)
        if len(head) < 8:
            return
        length = struct.unpack("<Q", head)[0]
        assert length < 1 << 20, length
        data = stream.read(length)
        if len(data) < length:
            return
        receive([unpacked(data)])


# --- OpenTelemetry, by the official definitions


def points(request):
    from opentelemetry.proto.metrics.v1 import metrics_pb2

    found = []
    for of_resource in request.resource_metrics:
        resource = attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                data = metric.WhichOneof("data")
                series = getattr(metric, data)
                for point in series.data_points:
                    value = point.WhichOneof("value")
                    found.append(
                        {
                            "resource": resource,
                            "scope": of_scope.scope.name,
                            "scope_attributes": attributes(of_scope.scope.attributes),
                            "name": metric.name,
                            "unit": metric.unit,
                            "kind": data,
                            "monotonic": data == "sum" and series.is_monotonic,
                            "temporality": data == "sum"
                            and metrics_pb2.AggregationTemporality.Name(series.aggregation_temporality),
                            "attributes": attributes(point.attributes),
                            "start": point.start_time_unix_nano,
                            "time": point.time_unix_nano,
                            "value": getattr(point, value) if value else None,
                            "flags": point.flags,
                        }
                    )
    return found


def attributes(pairs):
    keys = [pair.key for pair in pairs]
    assert len(keys) == len(set(keys)), keys
    return {pair.key: pair.value.string_value for pair in pairs}


def taken(request, response, ok):
    """Takes what is to be taken. Returns the status, and the response."""
    found = points(request)
    code, rejected = status([(point["name"], point["attributes"]["resource_id"]) for point in found], ok)
    if code == ok:
        rejected = min(rejected, len(found))
        receive(found[rejected:])
        if rejected:
            response.partial_success.rejected_data_points = rejected
            response.partial_success.error_message = "not these"
    return code, response


def of_metrics(handler, body):
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

    assert handler.headers["Content-Type"] == "application/x-protobuf" and handler.path == "/v1/metrics"
    request = service.ExportMetricsServiceRequest.FromString(body)
    code, response = taken(request, service.ExportMetricsServiceResponse(), 200)
    handler.answer(code, "application/x-protobuf", response.SerializeToString() if code == 200 else b"")


def serve_grpc():
    import grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as services

    codes = {code.value[0]: code for code in grpc.StatusCode}

    class Metrics(services.MetricsServiceServicer):
        def Export(self, request, context):
            code, response = taken(request, service.ExportMetricsServiceResponse(), 0)
            if code:
                context.abort(codes[code], "it is a test")
            return response

    server = grpc.server(futures.ThreadPoolExecutor(4))
    services.add_MetricsServiceServicer_to_server(Metrics(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say(port)
    server.wait_for_termination()


# --- oslo.messaging


def serve_oslo():
    import oslo_messaging
    from oslo_config import cfg

    class Endpoint:
        def sample(self, context, publisher_id, event_type, payload, metadata):
            receive({"sample": sample, "publisher": publisher_id, "event": event_type} for sample in payload)

    url, *topics = MORE
    transport = oslo_messaging.get_notification_transport(cfg.ConfigOpts(), url)
    targets = [oslo_messaging.Target(topic=topic, exchange="ceilometer") for topic in topics]
    listener = oslo_messaging.get_notification_listener(transport, targets, [Endpoint()], executor="threading")
    listener.start()
    say(0)
    listener.wait()


def say(port):
    print(port, flush=True)


# Whoever started this has it end with itself.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
KINDS = {
    "http": serve_http,
    "udp": serve_udp,
    "tcp": serve_tcp,
    "otlp-http": serve_http,
    "otlp-grpc": serve_grpc,
    "oslo": serve_oslo,
}
KINDS[KIND]()
