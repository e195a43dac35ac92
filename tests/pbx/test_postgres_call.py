"""A whole call with everything kept in PostgreSQL instead of SQLite."""

from pathlib import Path

import pytest

from cti.demo.lab import AsteriskProgram
from tests.pbx.house import House, found_template
from tests.pbx.sipp import require_sipp, wait_until
from tests.postgres import PrivatePostgres

pytestmark = [pytest.mark.pbx, pytest.mark.postgres]


def test_answered_written_up_and_remembered_on_postgresql(
    asterisk_program: AsteriskProgram, postgres: PrivatePostgres, tmp_path: Path
) -> None:
    """Import, sign-in, match, pop, talk, wrap-up, the next pop and the audit, all on PostgreSQL."""
    require_sipp()
    template = found_template(tmp_path / "template", postgres.new_database())
    with House(asterisk_program, template, tmp_path / "house") as house:
        ann = house.agent("ann")
        house.phone("a1", answers=0.5)
        caller = house.caller(keys=[(1.5, "1")], talk_s=9.0)
        pop = ann.wait_phase("offered")
        assert (pop["match"], pop["profile"]["name"]) == ("known", "Grace Novak")
        ann.wait_phase("answered")
        caller.wait()
        ann.finish("sold", "On PostgreSQL.")
        house.caller(keys=[(1.5, "1")], talk_s=8.0).wait_for("SIP/2.0 200")
        again = ann.wait_phase("offered")
        assert [(past["disposition"], past["note"]) for past in again["history"]] == [("sold", "On PostgreSQL.")]
        ann.wait_phase("wrap_up", 30)
        ann.finish()
        sound = wait_until(
            lambda: ((said := house.verdict())["linkedids"] == 2 and not said["missing_contacts"]) or None, 20.0, 1.0
        )
        assert sound, house.verdict()
        assert house.verdict()["wrong_outcomes"] == 0
    assert not (tmp_path / "house" / "offhook.db").exists()
