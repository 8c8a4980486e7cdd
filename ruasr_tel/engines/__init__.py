"""Recognition engines: samples in, hypotheses out. They know no calls, legs, events or asyncio."""
