"""Run the papers of a domain on its warehouse, each under its own protocol and on the folds of the lineage."""

from collections.abc import Iterable, Iterator

from recsys_dagster.domains import Domain
from recsys_dagster.evaluation.protocols import Protocol
from recsys_dagster.papers.as_published import PAPERS, Trial
from recsys_dagster.papers.experiment import Experiment
from recsys_dagster.papers.protocols import PREFIX, paper_protocol, paper_protocols
from recsys_dagster.papers.records import Record
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.storage import temporary_folder
from recsys_dagster.warehouse.arrays import load_fold, load_ids, load_training_data
from recsys_dagster.warehouse.database import Warehouse


def lineage_folds(warehouse: Warehouse, dataset: str, *, seed: int) -> Experiment:
    """Return the folds of the lineage as an experiment; raise RecsysError if there are no features yet."""
    data, test = load_training_data(warehouse), load_fold(warehouse, "test")
    return Experiment(dataset, data, test, load_ids(warehouse)[1], seed)


def published_folds(warehouse: Warehouse, domain: Domain, dataset: str, protocol: Protocol, *, seed: int) -> Experiment:
    """Return the split of a paper's protocol as an experiment; raise RecsysError if a part of it is empty."""
    with temporary_folder(warehouse.path.parent) as folder:
        split = protocol.load(protocol.export(warehouse, domain, folder), domain)
    return Experiment(dataset, split.data, split.test, split.item_ids, seed)


def run_papers(
    warehouse: Warehouse, domain: Domain, dataset: str, papers: Iterable[str] | None = None, *, seed: int
) -> Iterator[Record]:
    """Fit the systems of each paper under its protocol and on the folds of the lineage; give rows as they are computed.

    Args:
        warehouse: the domain's, with its features built.
        domain: the domain, with the scale of the dataset.
        dataset: id of the dataset that the warehouse holds.
        papers: numbers, such as `000`; None for all that are about the domain.
        seed: of splits and models.

    Raises:
        UsageError: one of the papers does not exist or is not about the domain.
        RecsysError: there are no features yet, or a protocol leaves the training or the test part empty.
    """
    chosen = [f"{PREFIX}{paper}" for paper in papers] if papers is not None else paper_protocols(domain)
    protocols = [paper_protocol(name, domain, seed=seed) for name in chosen]
    honest = lineage_folds(warehouse, dataset, seed=seed)
    for protocol in protocols:
        paper = protocol.name.removeprefix(PREFIX)
        published = published_folds(warehouse, domain, dataset, protocol, seed=seed)
        announce(
            f"paper {paper} on {dataset}: {len(published.data.train):,} training pairs,"
            f" {len(published.test):,} test pairs …"
        )
        yield from PAPERS[paper](Trial(paper, domain.name, published, honest))
