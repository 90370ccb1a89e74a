"""Stripe: a paid invoice marks its order paid."""

from pydantic import BaseModel, ValidationError

from activities.handlers.registry import handler
from activities.handlers.tools import Tools
from jobs.webhooks import EventRejected, Handled, InboundEvent
from jobs.webhooks.effects import Effect, Payment


class Metadata(BaseModel):
    """What the shop put on the invoice when it made it."""

    order_id: str


class Invoice(BaseModel):
    """The part of an invoice that matters."""

    amount_paid: int
    currency: str
    metadata: Metadata


class InvoiceData(BaseModel):
    """Stripe's envelope of an object."""

    object: Invoice


class InvoiceBody(BaseModel):
    """The part of the event that matters."""

    data: InvoiceData


@handler("stripe", "invoice.paid")
async def mark_order_paid(event: InboundEvent, tools: Tools) -> Handled:
    """Mark the order of the invoice paid, once; a refunded or cancelled one stays what it is."""
    try:
        invoice = InvoiceBody.model_validate(event.body).data.object
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        msg = f"not a paid invoice of an order: {fields}"
        raise EventRejected(msg) from None
    outcome = await tools.orders.mark_paid(
        Effect(handler="mark_order_paid", event_id=event.id, at=event.received_at),
        Payment(
            order_id=invoice.metadata.order_id,
            amount_minor=invoice.amount_paid,
            currency=invoice.currency.upper(),
        ),
    )
    return Handled(outcome=outcome)
