"""Deliveries in the database: what was sent to whom, and what they answered."""

from sqlalchemy import select

from ruasr_tel.store.database import Database, cut, paged
from ruasr_tel.store.tables import Delivery, Recording
from ruasr_tel.store.values import Delivery as DeliveryValue
from ruasr_tel.store.values import Page
from ruasr_tel.types import CallId


class DeliveriesStore(Database):
    """History of deliveries."""

    async def add_delivery(self, delivery: DeliveryValue) -> bool:
        """Keep one try; return False if that try of that delivery is known.

        The recording must be known; where it is not (purged meanwhile), nothing is kept.
        """
        async with self._writing() as session:
            owner = select(Recording.pk).where(Recording.id == delivery.recording_id)
            recording_pk = await session.scalar(owner)
            if delivery.recording_id is not None and recording_pk is None:
                return False
            row = {
                "delivery_id": delivery.delivery_id,
                "attempt": delivery.attempt,
                "url": delivery.url,
                "at": delivery.at,
                "recording_pk": recording_pk,
                "call_id": delivery.call_id,
                "status": delivery.status,
                "error": delivery.error,
            }
            return await self._add(session, Delivery, row)

    async def deliveries(
        self,
        *,
        recording_id: str | None = None,
        call_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[DeliveryValue]:
        """Return a page of tries, the newest first.

        Args:
            recording_id: only those of that recording's result.
            call_id: only those about that live call.
            limit: items of the page, 1 to MAX_PAGE.
            cursor: `next_cursor` of the page before.

        Raises:
            BadCursor: no page gave that cursor.
            ValueError: the limit is out of bounds.
        """
        statement = select(Delivery, Recording.id).outerjoin(Recording)
        if recording_id is not None:
            statement = statement.where(Recording.id == recording_id)
        if call_id is not None:
            statement = statement.where(Delivery.call_id == call_id)
        async with self._reading() as session:
            found = (await session.execute(paged(statement, Delivery.pk, limit, cursor))).all()
            next_cursor = cut([row[0] for row in found], limit)[1]
            return Page(tuple(_value(*row) for row in found[:limit]), next_cursor)


def _value(delivery: Delivery, recording_id: str | None) -> DeliveryValue:
    return DeliveryValue(
        delivery.delivery_id,
        delivery.attempt,
        delivery.url,
        delivery.at,
        recording_id,
        None if delivery.call_id is None else CallId(delivery.call_id),
        delivery.status,
        delivery.error,
    )
