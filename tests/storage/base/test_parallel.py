"""Work on a cluster: what is lost is said."""

import dask
import distributed
import pytest

from storage.base.errors import StorageError
from storage.base.parallel import map_in_order
from tasks.runtime.cluster import SETTINGS


def test_a_cluster_that_has_no_worker_left_is_an_error():
    settings = {**SETTINGS, "distributed.scheduler.no-workers-timeout": "100 ms"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(StorageError, match="none came back"),
    ):
        list(map_in_order(abs, [-1], client))
