from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from theatre import Cart, Ticket

import durable_fsm


def line_of(span: ReadableSpan) -> str:
    took = (span.end_time or 0) - (span.start_time or 0)
    return f"span {span.name}, {took // 1_000_000} ms\n"


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line_of)))
trace.set_tracer_provider(provider)

app = durable_fsm.app(Ticket, Cart)
