"""The kit itself: what breaks a promise fails in the test of that promise, and every port has a suite."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest

import dashtam_core
from dashtam_core import testing
from dashtam_core.testing import StoreConformance
from dashtam_core.testing._outbox import OutboxPromises
from unit.testing import broken

BROKEN = {
    "TestForgetsToUndo": "test_a_rolled_back_unit_leaves_what_was_there",
    "TestListsForeignRows": "test_people_are_apart",
    "TestRounds": "test_rows_that_are_hard_to_keep_come_back[amounts-small]",
    "TestHidesNothing": "test_transactions_are_found_by_what_they_are",
    "TestKeepsOldKeys": "test_a_change_frees_the_key_that_the_row_had",
    "TestForgetsWhatIsUnknown": "test_a_change_replaces_all_that_was_said[small]",
    "TestChangesWhatIsThere": "test_a_row_that_is_not_there_is_not_changed[nobody's]",
    "TestMarksAnew": "test_what_a_statement_is_without_is_marked",
    "TestAddsToNotes": "test_what_a_person_says_of_a_row_is_shown_with_it",
    "TestShowsAllHoldings": "test_an_account_holds_what_it_did_on_its_latest_day",
    "TestLosesContent": "test_what_is_said_of_a_document_changes_and_its_content_stays",
    "TestWaitsForNobody": "test_imports_into_an_account_follow_one_another[known]",
    "TestClaimsOrder": "test_a_subscriber_hears_in_the_order_of_commit",
    "TestTakesTurns": "test_events_are_told_beside_each_other",
    "TestTellsWhatWasPutOff": "test_an_event_that_is_not_to_be_told_now_is_not",
    "TestLooksAtAgeAlone": "test_what_failed_is_overdue_when_it_is_to_be_told_again",
    "TestIsImpatient": "test_what_has_waited_too_long_is_overdue",
    "TestClaimsToLast": "test_the_trail_outlives_the_process",
    "TestForgetsAll": "test_the_trail_outlives_the_process",
    "TestUsesAgain": "test_a_credential_is_used_once",
    "TestFindsAnybodys": "test_a_credential_is_read_as_it_was_added",
    "TestStaysSomebodyElse": "test_an_administrator_acts_for_somebody_for_a_while",
    "TestIgnoresBeside": "test_a_wrapping_is_added_beside_those_that_are_there",
    "TestLetsInUncounted": "test_all_have_room_or_none_is_counted",
    "TestTellsAllAtOnce": "test_ordered_subscribers_hear_one_after_another",
    "TestIsolatesNobody": "test_a_subscriber_hears_in_its_publishers_context[ordered]",
    "TestRemembers": "test_who_was_erased_is_unreadable",
    "TestSignsSomethingElse": "test_what_is_signed_verifies",
    "TestOneForAll": "test_a_key_is_for_one_purpose",
    "TestLocal": "test_an_instant_is_aware_and_in_utc",
    "TestLooksOneByOne": "test_many_are_had_at_one_moment",
    "TestFoldsKeys": "test_keys_are_apart",
    "TestLosesNothing": "test_what_is_kept_is_had[0]",
    "TestKeepsTheFirstTime": "test_what_is_kept_ends",
    "TestGivesBackAnybodys": "test_a_lock_ends_by_itself",
    "TestCountsNothing": "test_one_holds_a_lock_at_a_time",
    "TestKeepsWhatBroke": "test_who_is_cut_short_gives_it_back[BrokenError]",
    "TestLetsInWhoWaited": "test_a_lock_is_had_when_it_is_given_back",
    "TestGivesTwice": "test_an_entry_goes_to_one_member_of_a_group",
    "TestForgetsWhatIsDone": "test_what_a_silent_member_took_goes_to_another",
    "TestNeverFull": "test_who_is_behind_holds_up_who_appends",
    "TestBeginsAtTheEnd": "test_every_group_has_everything",
    "TestRaisesOnTruncated": "test_a_damaged_file_is_read_or_refused[cut]",
    "TestPrintsNumbers": "test_account_numbers_are_not_printed",
    "TestSaysNothingForUnknown": "test_a_sample_says_what_it_says",
    "TestTellsInstantsForDays": "test_a_sample_says_what_it_says",
    "TestTurnsSigns": "test_a_sample_says_what_it_says",
    "TestIsInexact": "test_a_sample_says_what_it_says",
    "TestLooksAtAll": "test_it_recognizes_its_own",
    "TestIsNeverTheSame": "test_the_same_bytes_are_read_the_same",
    "TestTakesAll": "test_it_does_not_recognize_what_is_others",
    "TestLeaks": "test_a_refused_credential_is_a_failure",
    "TestEchoes": "test_it_brings_what_can_be_taken_in",
    "TestRenames": "test_asking_again_brings_the_same",
    "TestRepeatsIds": "test_stable_ids_are_unique",
    "TestNeverEnds": "test_a_cursor_leads_on",
    "TestGoesOnNowhere": "test_a_cursor_leads_on",
}
MORE = {
    "TestForgetsToUndo": "test_nothing_hangs_on_a_foreign_account[balance-another's]",
    "TestRenames": "test_what_was_taken_in_is_not_taken_in_again",
}
PROMISES = [name for name in dir(OutboxPromises) if name.startswith("test_")]

SUITES = {
    "CacheConformance": "Cache",
    "ClockConformance": "Clock",
    "EventBusConformance": "EventBus",
    "EventStreamConformance": "EventStream",
    "KeyringConformance": "Keyring",
    "LocksConformance": "Locks",
    "PersonalVaultConformance": "PersonalVault",
    "ProviderConformance": "Provider",
    "RateLimiterConformance": "RateLimiter",
    "SignerConformance": "Signer",
    "StatementReaderConformance": "StatementReader",
    "StoreConformance": (
        "Store UnitOfWork Accounts Transactions Documents Matches People PersonKeys Users Credentials RootKeys "
        "Answers AuditTrail AuditLog Outbox Deliveries"
    ),
}
NO_SUITE = {
    "ProfiledReader": "a reader that takes more, and a reader all the same",
    "StatementWriter": "what it writes, the readers of each format say",
    "Shared": "a cache, a limiter and locks, each held to its suite",
    "IdentityStore": "a store, held to the suite for stores",
    "IdentityUnit": "a unit of work, held to the suite for stores",
    "PeopleUnit": "a unit of work, held to the suite for stores",
    "Mailer": "whether a mail came is seen in the mailbox alone",
    "PasswordHasher": "how long it has to take is a matter of its parameters",
    "AuditedUnit": "what a stage asks of a unit of work",
    "KeyedUnit": "what a vault asks of a unit of work",
    "Handler": "an application's own code",
    "PreparingHandler": "an application's own code",
    "Stage": "the pipeline's own parts",
}


@attrs.frozen
class Outcome:
    """What became of a test: why it failed or was skipped, if it did."""

    failure: str = ""
    skipped: str = ""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Outcome]:
    """The broken adapters beside the kit, as an author's own pytest runs it."""
    folder = tmp_path_factory.mktemp("author")
    settings, report = folder / "pytest.ini", folder / "report.xml"
    settings.write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    named = [*BROKEN.items(), *MORE.items(), *(("TestUnordered", promise) for promise in PROMISES)]
    chosen = [f"{broken.__file__}::{case}::{test}" for case, test in named]
    options = ["-q", "-c", str(settings), f"--rootdir={folder}", f"--junitxml={report}", "--noconftest"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        *options,
        *chosen,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return {_key(each): _outcome(each) for each in ET.parse(report).iter("testcase")}


def _key(case: ET.Element) -> tuple[str, str]:
    return case.attrib["classname"].split(".")[-1], case.attrib["name"]


def _outcome(case: ET.Element) -> Outcome:
    found = {each.tag: f"{each.attrib.get('message')} {each.text}" for each in case}
    return Outcome(found.get("failure", ""), found.get("skipped", ""))


@pytest.mark.parametrize(("case", "test"), [*BROKEN.items(), *MORE.items()])
def test_a_broken_promise_is_cited(outcomes: Mapping[tuple[str, str], Outcome], case: str, test: str) -> None:
    """The adapter fails in the test of the promise that it breaks, and reads which one that is."""
    promise = getattr(getattr(broken, case), test.split("[", maxsplit=1)[0]).__doc__
    assert f"The promise: {' '.join(promise.split())}" in outcomes[case, test].failure


def test_what_a_store_claims_has_to_be_shown(outcomes: Mapping[tuple[str, str], Outcome]) -> None:
    """Who claims that entries outlive the process and gives no way to see it is told what to provide."""
    failure = outcomes["TestClaimsToLast", BROKEN["TestClaimsToLast"]].failure
    assert "provide the fixture `reopen`" in failure


def test_what_is_not_claimed_is_not_asked_for(outcomes: Mapping[tuple[str, str], Outcome]) -> None:
    """A store without an order is skipped where order is promised, by the name of that, and nowhere else."""
    told = {test: outcome for (case, test), outcome in outcomes.items() if case == "TestUnordered"}
    assert {test.split("[")[0] for test in told} == set(PROMISES)
    assert [test for test, outcome in told.items() if outcome.failure] == []
    ordered = {BROKEN["TestClaimsOrder"], BROKEN["TestIsImpatient"]}
    assert {test for test, outcome in told.items() if outcome.skipped} == ordered
    assert "Unordered does not claim ordered_outbox" in told[BROKEN["TestClaimsOrder"]].skipped


def _protocols() -> set[str]:
    """Every protocol of the core."""
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(dashtam_core.__path__, "dashtam_core.")
        if ".testing" not in each.name and not each.name.endswith(("plugin", "__main__"))
    ]
    found: list[Any] = [thing for module in modules for thing in vars(module).values() if inspect.isclass(thing)]
    return {
        each.__name__ for each in found if getattr(each, "_is_protocol", False) and "dashtam" in each.__module__
    }


def test_every_port_has_a_suite() -> None:
    """A port that comes has a suite of its own, or belongs to one; what has none says why."""
    ports = [port for covered in SUITES.values() for port in covered.split()]
    assert sorted([*ports, *NO_SUITE]) == sorted(_protocols())
    assert set(SUITES) == {name for name in testing.__all__ if name.endswith("Conformance")} - {"Conformance"}


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_of_the_kit_says_its_promise(suite: str) -> None:
    """What a failure cites is a whole sentence."""
    tests = [test for name, test in inspect.getmembers(getattr(testing, suite)) if name.startswith("test_")]
    assert tests
    assert [test for test in tests if not (test.__doc__ or "").strip().endswith(".")] == []


def test_a_suite_says_which_ports_it_covers() -> None:
    """The parts of a store have no suite of their own, and its suite names them."""
    documented = StoreConformance.__doc__ or ""
    assert [port for port in SUITES["StoreConformance"].split() if f"`{port}`" not in documented] == []


@pytest.mark.parametrize("missing", ["pytest", "pytest_asyncio", "hypothesis"])
def test_who_lacks_the_extra_is_told_to_install_it(missing: str) -> None:
    """One sentence names what is missing and the command that brings it."""
    code = f"import sys; sys.modules[{missing!r}] = None; import dashtam_core.testing"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = ran.stderr.strip().splitlines()[-1]
    assert said == f"ImportError: dashtam_core.testing needs {missing}: pip install 'dashtam-core[testing]'"
