"""Write the files of a small shop, as its systems might export them: three months of orders, and the products.

Nothing in them is as a recommender would like it: customers are e-mail addresses, products are SKUs, times have a zone,
fields are divided by semicolons, and who buys something again has several rows.

    python examples/own_data/make_shop.py shop
    recsys import "shop/orders-*.csv" --items shop/products.jsonl --name shop --yes
    recsys run --domain shop
    recsys recommend --domain shop --user anna.005@example.org
"""

import csv
import json
import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

N_CUSTOMERS = 300
CATEGORIES = {
    "Tea": ("Assam", "Darjeeling", "Sencha", "Rooibos", "Oolong", "Mint", "Chai", "Jasmine"),
    "Coffee": ("Espresso", "Filter", "Decaf", "Moka", "Cold Brew", "Arabica", "Robusta", "Ristretto"),
    "Cups": ("Mug", "Glass", "Saucer", "Bowl", "Tumbler", "Beaker", "Flask", "Thermos"),
    "Kitchen": ("Kettle", "Grinder", "Scale", "Strainer", "Spoon", "Timer", "Jug", "Tray"),
    "Sweets": ("Fudge", "Toffee", "Nougat", "Biscuit", "Praline", "Wafer", "Brittle", "Truffle"),
}
BRANDS = ("Hill & Co", "Blue Door", "Northern", "Marta's")
FIRST_NAMES = ("anna", "ben", "chloé", "david", "esra", "fatima", "george", "hana", "ivan", "jo")
ZONE = timezone(timedelta(hours=2))


def products(rng: random.Random) -> list[dict[str, object]]:
    """Two products of each kind, with its categories, its brand and its price."""
    found: list[dict[str, object]] = []
    for category, kinds in CATEGORIES.items():
        for kind in kinds:
            for size in ("small", "large"):
                others = [category, "Gifts"] if rng.random() < 0.2 else [category]
                found.append(
                    {
                        "sku": f"{category[:2].upper()}-{kind[:3].upper()}-{size[0].upper()}{len(found):03d}",
                        "name": f"{kind}, {size}",
                        "categories": others,
                        "brand": rng.choice(BRANDS),
                        "price": round(rng.uniform(2, 40), 2),
                    }
                )
    return found


def orders(rng: random.Random, catalogue: list[dict[str, object]]) -> list[tuple[datetime, str, str, int]]:
    """What customers bought: mostly of the two categories they like, some of it again and again."""
    rows = []
    for number in range(N_CUSTOMERS):
        customer = f"{FIRST_NAMES[number % len(FIRST_NAMES)]}.{number:03d}@example.org"
        liked = set(rng.sample(list(CATEGORIES), 2))
        weights = [8 if liked & set(product["categories"]) else 1 for product in catalogue]  # type: ignore[call-overload]
        for product in rng.choices(catalogue, weights, k=rng.randint(8, 30)):
            at = datetime(2025, 1, 1, 9, tzinfo=ZONE) + timedelta(minutes=rng.randrange(89 * 24 * 60))
            rows.append((at, customer, str(product["sku"]), rng.choice((1, 1, 1, 2, 3))))
    return sorted(rows)


def write(folder: Path, seed: int = 1) -> None:
    """Write orders-2025-01.csv, orders-2025-02.csv, orders-2025-03.csv and products.jsonl."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = products(rng)
    lines = [json.dumps(product, ensure_ascii=False) for product in catalogue]
    (folder / "products.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = orders(rng, catalogue)
    for month in (1, 2, 3):
        with (folder / f"orders-2025-{month:02d}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(["order", "ordered at", "customer", "sku", "quantity", "channel"])
            for number, (at, customer, sku, quantity) in enumerate(rows):
                if at.month == month:
                    writer.writerow([f"A{number:06d}", at.isoformat(), customer, sku, quantity, "web"])


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "shop"))
