"""So much a second, and so much at once."""

from meshcluster.bucket import Bucket


def taken(bucket, now, **keep):
    return sum(bucket.take(now, **keep) for _ in range(1000))


def test_it_begins_full_and_fills_with_time():
    bucket = Bucket(10.0, 20.0)
    assert [taken(bucket, now) for now in (0.0, 0.0, 0.5, 100.0)] == [20, 0, 5, 20]


def test_part_of_it_may_be_kept_for_others():
    bucket = Bucket(10.0, 20.0)
    assert (taken(bucket, 0.0, keep=0.5), taken(bucket, 0.0)) == (10, 10)


def test_a_clock_that_goes_back_gives_and_takes_nothing():
    bucket = Bucket(10.0, 20.0)
    assert (taken(bucket, 5.0), taken(bucket, 4.0), taken(bucket, 5.0)) == (20, 0, 0)
