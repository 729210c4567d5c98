"""Realistic events, the same ones every time: about 1.3 KB each, as RudderStack's SDKs send them."""

import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

CONFIG = b'{"siteID": "46be54768e7d49ab2628", "apiKey": "dummyApiKey", "datacenter": "EU"}'
_WORDS = [
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "inlet",
    "jolly",
    "karma",
    "lunar",
    "maple",
]
# What a shop with a web page and an app sends, in percent.
MIX = {"track": 45, "page": 20, "identify": 15, "screen": 8, "group": 4, "alias": 3, "device": 5}


def events(number: int, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """Return kind and JSON of a number of events in the usual mix."""
    dice = random.Random(seed)
    kinds = list(MIX)
    for index in range(number):
        kind = dice.choices(kinds, list(MIX.values()))[0]
        yield kind, event(kind, dice, index)


def event(kind: str, dice: random.Random, index: int) -> bytes:
    """Return an event of a kind as JSON."""
    found = _envelope(dice, index, mobile=kind in ("screen", "device")) | _FILL[kind](dice)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def _envelope(dice: random.Random, index: int, *, mobile: bool) -> dict[str, Any]:
    second = index % 60
    stamp = f"2026-03-04T05:{index // 60 % 60:02}:{second:02}.{dice.randrange(1000):03}Z"
    context: dict[str, Any] = {
        "library": {"name": "RudderLabs JavaScript SDK", "version": "3.7.6"},
        "locale": "en-GB",
        "ip": f"203.0.113.{dice.randrange(256)}",
        "sessionId": 1_772_600_000_000 + index,
        "traits": {"email": f"user{dice.randrange(10**6)}@example.com", "plan": "pro"},
    }
    if mobile:
        context |= {
            "library": {"name": "com.rudderstack.android.sdk.core", "version": "1.26.0"},
            "app": {"name": "Shop", "version": "4.5.6", "build": "789"},
            "device": {
                "id": dice.randbytes(8).hex(),
                "token": dice.randbytes(70).hex(),
                "type": "Android",
                "model": "Pixel 9",
                "manufacturer": "Google",
            },
            "os": {"name": "Android", "version": "16"},
            "screen": {"density": 420, "height": 2337, "width": 1080},
            "network": {"carrier": "Example Tel", "wifi": True, "cellular": False},
            "timezone": "Europe/Brussels",
        }
    else:
        context |= {
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/147 Safari/537.36",
            "page": {
                "path": "/en/shop/lamps",
                "url": "https://shop.example.com/en/shop/lamps?utm_source=mail",
                "title": "Lamps and lights — the shop",
                "referrer": "https://shop.example.com/en/",
                "search": "?utm_source=mail",
            },
            "campaign": {"source": "mail", "medium": "newsletter", "name": "spring"},
            "screen": {"density": 2, "height": 1080, "width": 1920, "innerWidth": 1680},
        }
    return {
        "messageId": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        "anonymousId": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        "userId": f"user-{dice.randrange(50_000)}",
        "channel": "mobile" if mobile else "web",
        "context": context,
        "originalTimestamp": stamp,
        "sentAt": stamp,
        "timestamp": stamp,
        "receivedAt": stamp,
        "request_ip": "203.0.113.9",
        "integrations": {"All": True},
    }


def _text(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_WORDS, k=words))


def _track(dice: random.Random) -> dict[str, Any]:
    products = [
        {
            "product_id": f"P-{dice.randrange(10**5)}",
            "name": _text(dice, 3),
            "price": dice.randrange(100, 20_000) / 100,
            "quantity": dice.randrange(1, 4),
        }
        for _ in range(3)
    ]
    return {
        "type": "track",
        "event": "Order Completed",
        "properties": {
            "order_id": dice.randrange(10**12, 10**13),
            "total": dice.randrange(100, 90_000) / 100,
            "currency": "EUR",
            "coupon": "SPRING",
            "products": products,
        },
    }


def _page(dice: random.Random) -> dict[str, Any]:
    return {
        "type": "page",
        "name": _text(dice, 2),
        "properties": {
            "path": "/en/shop/lamps",
            "url": "https://shop.example.com/en/shop/lamps?utm_source=mail",
            "title": _text(dice, 5),
            "referrer": "https://shop.example.com/en/",
            "search": "?utm_source=mail",
            "tab": dice.randrange(5),
            "text": _text(dice, 20),
        },
    }


def _screen(dice: random.Random) -> dict[str, Any]:
    return {
        "type": "screen",
        "event": _text(dice, 1),
        "properties": {"automatic": True, "previous": _text(dice, 2)},
    }


def _identify(dice: random.Random) -> dict[str, Any]:
    traits = {
        "email": f"user{dice.randrange(10**6)}@example.com",
        "firstName": _text(dice, 1),
        "lastName": _text(dice, 1),
        "phone": "+3225550100",
        "createdAt": "2024-01-02T03:04:05.678Z",
        "address": {
            "city": "Brussels",
            "country": "Belgium",
            "postalCode": "1000",
            "street": "Rue 1",
        },
        "company": _text(dice, 2),
        "plan": "pro",
        "logins": dice.randrange(1000),
        "score": dice.random(),
        "newsletter": True,
        "tags": dice.choices(_WORDS, k=4),
        "language": "fr",
        "title": _text(dice, 3),
        "about": _text(dice, 12),
    }
    return {"type": "identify", "traits": traits}


def _group(dice: random.Random) -> dict[str, Any]:
    traits = {
        "name": _text(dice, 2),
        "plan": "team",
        "seats": dice.randrange(500),
        "about": _text(dice, 20),
    }
    return {"type": "group", "groupId": f"company-{dice.randrange(5000)}", "traits": traits}


def _alias(dice: random.Random) -> dict[str, Any]:
    return {"type": "alias", "previousId": f"lead-{dice.randrange(10**6)}"}


def _device(dice: random.Random) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Application Opened",
        "properties": {"version": "4.5.6", "build": 789, "from_background": dice.random() < 0.5},
    }


_FILL = {
    "track": _track,
    "page": _page,
    "screen": _screen,
    "identify": _identify,
    "group": _group,
    "alias": _alias,
    "device": _device,
}
