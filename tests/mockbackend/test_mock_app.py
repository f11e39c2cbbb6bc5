"""The mock backend over real sockets: its two routes, its record, its faults and their control by HTTP."""

import asyncio
import json
import time
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, ServerDisconnectedError

from labsessions.mockbackend import (
    Drop,
    Fault,
    Hang,
    Huge,
    Lost,
    MockBackend,
    NonJson,
    Redirect,
    Slow,
    Status,
    Vm,
    fail_next,
    running,
)

TOKEN = "mock-token"


async def delete(http: ClientSession, mock: MockBackend, vm: str = "vm-1", **options: Any) -> int:
    """Ask for one VM's deletion; the status of the answer."""
    body = {"lab_request_id": vm, "user_id": "ann"}
    async with http.post(f"{mock.url}/api/v1/labs/delete", json=body, allow_redirects=False, **options) as response:
        await response.read()
        return response.status


async def expose(http: ClientSession, mock: MockBackend, master: str = "vm-1") -> int:
    """Ask for the removal of a lab's services; the status of the answer."""
    async with http.delete(f"{mock.url}/api/v1/expose/", json={"lab_request_id": master}) as response:
        return response.status


async def test_both_routes_answer_and_do_the_work_as_often_as_asked() -> None:
    """Services answer 200, a VM 202, and a second time is as good as the first."""
    async with running() as mock, ClientSession() as http:
        assert [await expose(http, mock), await expose(http, mock)] == [200, 200]
        assert [await delete(http, mock), await delete(http, mock, "vm-2"), await delete(http, mock)] == [202, 202, 202]
        assert mock.deleted == ["vm-1", "vm-2"]


async def test_the_bearer_is_checked_but_never_recorded() -> None:
    """With a token configured a missing or wrong bearer is a 401 and does nothing; no token is in the record."""
    async with running(token=TOKEN) as mock, ClientSession() as http:
        assert await delete(http, mock) == 401
        assert await delete(http, mock, headers={"Authorization": f"Bearer {TOKEN}x"}) == 401
        assert mock.deleted == []
        assert await delete(http, mock, headers={"Authorization": f"Bearer {TOKEN}"}) == 202
        assert [call.authorized for call in mock.calls()] == [False, False, True]
        async with http.get(f"{mock.url}/__calls") as response:
            assert TOKEN not in await response.text()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"lab_request_id": 1, "user_id": "u"}', b'{"lab_request_id": "", "user_id": "u"}']
)
async def test_a_bad_body_is_a_400_and_recorded(body: bytes) -> None:
    """What names no VM is refused on both routes, and seen all the same."""
    async with running() as mock, ClientSession() as http:
        async with http.post(f"{mock.url}/api/v1/labs/delete", data=body) as response:
            assert response.status == 400
        async with http.delete(f"{mock.url}/api/v1/expose/", data=body) as response:
            assert response.status == 400
        assert [(call.route, call.status, call.work_done) for call in mock.calls()] == [
            ("delete", 400, False),
            ("expose", 400, False),
        ]


async def test_a_deletion_without_its_user_is_a_400() -> None:
    """The user is part of the body of a deletion, and only there."""
    async with running() as mock, ClientSession() as http:
        async with http.post(f"{mock.url}/api/v1/labs/delete", json={"lab_request_id": "vm-1"}) as response:
            assert response.status == 400
            assert "user_id" in await response.text()
        assert await expose(http, mock) == 200


async def test_calls_are_listed_in_order_filtered_and_cleared() -> None:
    """`/__calls` shows all members of a call; clearing keeps the numbering and what is deleted."""
    before = time.time_ns() // 1_000_000
    async with running() as mock, ClientSession() as http:
        await expose(http, mock)
        await delete(http, mock, "vm-2")
        async with http.get(f"{mock.url}/__calls") as response:
            calls = await response.json()
        assert [(call["seq"], call["route"], call["method"]) for call in calls] == [
            (1, "expose", "DELETE"),
            (2, "delete", "POST"),
        ]
        async with http.get(f"{mock.url}/__calls", params={"lab_request_id": "vm-2"}) as response:
            (call,) = await response.json()
        assert before <= call.pop("at_ms") <= call.pop("ended_ms")
        assert call == {
            "seq": 2,
            "route": "delete",
            "method": "POST",
            "authorized": True,
            "content_type": "application/json",
            "lab_request_id": "vm-2",
            "user_id": "ann",
            "fault": None,
            "status": 202,
            "work_done": True,
        }
        async with http.delete(f"{mock.url}/__calls") as response:
            assert response.status == 204
        assert mock.calls() == []
        await delete(http, mock, "vm-3")
        assert [call.seq for call in mock.calls()] == [3]
        async with http.get(f"{mock.url}/__state") as response:
            assert await response.json() == {
                "vms_deleted": ["vm-2", "vm-3"],
                "services_deleted": ["vm-1"],
                "max_concurrent_deletes": 1,
            }


@pytest.mark.parametrize(
    ("fault", "status", "work_done"),
    [
        (Status(status=503), 503, False),
        (Status(status=299), 299, True),
        (Status(status=300), 300, False),
        (Slow(seconds=0), 202, True),
        (NonJson(), 200, True),
        (Huge(bytes=200_000), 200, True),
        (Redirect(), 307, False),
    ],
)
async def test_a_fault_that_answers(fault: Fault, status: int, work_done: bool) -> None:  # noqa: FBT001 - a table
    """The scripted answer comes, and the work is done or not as the kind says."""
    async with running(faults=[fault]) as mock, ClientSession() as http:
        assert await delete(http, mock) == status
        (call,) = mock.calls()
        assert (call.status, call.work_done) == (status, work_done)
        assert mock.deleted == (["vm-1"] if work_done else [])


@pytest.mark.parametrize(("fault", "work_done"), [(Drop(), False), (Lost(), True)])
async def test_a_fault_that_closes_the_connection(fault: Fault, work_done: bool) -> None:  # noqa: FBT001 - a table
    """The client hears nothing; a lost answer is one whose work was done."""
    async with running(faults=[fault]) as mock, ClientSession() as http:
        with pytest.raises(ServerDisconnectedError):
            await delete(http, mock)
        (call,) = mock.calls()
        assert (call.status, call.work_done) == ("dropped", work_done)


async def test_what_the_faulty_answers_look_like() -> None:
    """Headers as scripted, a page that is no JSON, a body of the size asked for."""
    faults: list[Fault] = [
        Status(status=429, retry_after=7, times=1),
        Status(status=302, location="/there", retry_after="soon", times=1),
        Redirect(status=308, location="http://elsewhere.test/", times=1),
        NonJson(times=1),
        Huge(bytes=70_000, times=1),
    ]
    async with running(faults=faults) as mock, ClientSession() as http:
        seen = []
        for _ in faults:
            body = {"lab_request_id": "vm-1", "user_id": "ann"}
            async with http.post(f"{mock.url}/api/v1/labs/delete", json=body, allow_redirects=False) as response:
                said = await response.read()
                headers = response.headers
                seen.append((response.status, headers.get("Retry-After"), headers.get("Location"), len(said)))
                if response.status == 200:
                    with pytest.raises(ValueError, match="Expecting value"):
                        json.loads(said)
        assert seen[0][:3] == (429, "7", None)
        assert seen[1][:3] == (302, "soon", "/there")
        assert seen[2][:3] == (308, None, "http://elsewhere.test/")
        assert seen[4] == (200, None, None, 70_000)


async def test_a_call_is_on_record_while_it_hangs_and_after_its_client_has_gone() -> None:
    """A client that is killed in mid-call leaves a record; a hanging call is `hung`, a slow one `cancelled`."""
    faults: list[Fault] = [Hang(lab_request_id="hangs"), Slow(lab_request_id="slow", seconds=60)]
    async with running(faults=faults) as mock, ClientSession() as http:
        tasks = [asyncio.create_task(delete(http, mock, vm)) for vm in ("hangs", "slow")]
        calls = await mock.wait_for_calls(2, route="delete")
        assert [(call.status, call.ended_ms) for call in calls] == [(None, None)] * 2
        assert mock.max_concurrent_deletes == 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5):
            while not all(call.status for call in calls):  # noqa: ASYNC110 - a record has no event for its end
                await asyncio.sleep(0)
        assert {call.lab_request_id: call.status for call in calls} == {"hangs": "hung", "slow": "cancelled"}
        assert mock.deleted == []


async def test_a_slow_answer_comes_after_its_time() -> None:
    """`slow` waits as long as scripted, then answers normally."""
    async with running(faults=[Slow(seconds=0.05)]) as mock, ClientSession() as http:
        assert await delete(http, mock) == 202
        (call,) = mock.calls()
        assert call.ended_ms is not None
        assert call.ended_ms - call.at_ms >= 49  # one less than 50: both instants are cut to the millisecond


async def test_a_stopping_server_waits_for_no_hanging_call() -> None:
    """The shutdown drops calls that hang or are slow, at once."""
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        async with asyncio.timeout(0.9), running(faults=[Hang(times=1), Slow(seconds=60)]) as mock:
            tasks = [asyncio.create_task(delete(http, mock)) for _ in range(2)]
            calls = await mock.wait_for_calls(2)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, ClientError) for outcome in outcomes)
    assert sorted(str(call.status) for call in calls) == ["dropped", "hung"]


async def test_faults_are_scripted_over_http() -> None:
    """POST takes one or a list, GET shows what is left, DELETE forgets; a refused one is not entered."""
    async with running() as mock, ClientSession() as http:
        url = f"{mock.url}/__faults"
        async with http.post(url, json={"kind": "status", "status": 500, "times": 2}) as response:
            assert response.status == 200
        async with http.post(url, json=[{"kind": "drop", "route": "expose"}, {"kind": "hang", "times": 0}]) as response:
            assert response.status == 400
            assert "times" in (await response.json())["error"]
        assert await delete(http, mock) == 500
        async with http.get(url) as response:
            (left,) = await response.json()
        assert (left["kind"], left["status"], left["times"]) == ("status", 500, 1)
        async with http.delete(url) as response:
            assert response.status == 204
        assert await delete(http, mock) == 202


async def test_faults_are_scripted_from_a_test() -> None:
    """`add_fault` and `clear_faults` do in-process what the routes do; `clear_calls` too."""
    async with running() as mock, ClientSession() as http:
        mock.add_fault(fail_next(1), Status(status=418))
        assert [await expose(http, mock), await delete(http, mock), await delete(http, mock)] == [418, 500, 418]
        assert [call.fault for call in mock.calls(lab_request_id="vm-1", route="delete")] == ["status", "status"]
        mock.clear_faults()
        mock.clear_calls()
        assert await delete(http, mock) == 202
        assert len(mock.calls()) == 1


async def test_waiting_for_calls_that_never_come_ends() -> None:
    """`wait_for_calls` counts the route asked for, and raises when its time is over."""
    async with running() as mock, ClientSession() as http:
        await expose(http, mock)
        assert len(await mock.wait_for_calls(1)) == 1
        with pytest.raises(TimeoutError):
            await mock.wait_for_calls(1, route="delete", timeout=0.02)


async def test_a_reader_takes_the_record_piece_by_piece() -> None:
    """`after` is the last number that was seen; what is forgotten `through` a number leaves later calls alone."""
    async with running() as mock, ClientSession() as http:
        for vm in ("vm-1", "vm-2", "vm-3"):
            await delete(http, mock, vm)

        async def seen(after: int) -> list[str]:
            async with http.get(f"{mock.url}/__calls", params={"after": after}) as response:
                return [call["lab_request_id"] for call in await response.json()]

        assert [await seen(0), await seen(1), await seen(3)] == [["vm-1", "vm-2", "vm-3"], ["vm-2", "vm-3"], []]
        async with http.delete(f"{mock.url}/__calls", params={"through": 2}) as response:
            assert response.status == 204
        assert [await seen(0), await seen(1), await seen(2)] == [["vm-3"]] * 3
        async with http.delete(f"{mock.url}/__calls", params={"through": 9}) as response:
            assert response.status == 204
        await delete(http, mock, "vm-4")
        assert [call.seq for call in mock.calls()] == [4]


@pytest.mark.parametrize(("method", "name"), [("GET", "after"), ("DELETE", "through")])
@pytest.mark.parametrize("value", ["", "-1", "x", "1.0"])
async def test_a_place_in_the_record_is_a_number(method: str, name: str, value: str) -> None:
    """Anything else is a 400 that names it, and nothing is forgotten."""
    async with running() as mock, ClientSession() as http:
        await delete(http, mock)
        async with http.request(method, f"{mock.url}/__calls", params={name: value}) as response:
            assert (response.status, name in (await response.json())["error"]) == (400, True)
        assert len(mock.calls()) == 1


async def test_the_counts_outlive_the_record() -> None:
    """Calls as often as they came, what is gone once each."""
    async with running() as mock, ClientSession() as http:
        await expose(http, mock)
        for vm in ("vm-1", "vm-1", "vm-2"):
            await delete(http, mock, vm)
        mock.clear_calls()
        async with http.get(f"{mock.url}/__counts") as response:
            assert await response.json() == {"calls": 4, "vms_deleted": 2, "services_deleted": 1}


async def test_the_list_has_what_a_test_has_put_there_until_it_is_deleted() -> None:
    """In order, each once, with the members that were given; recorded like any other call."""
    async with running() as mock, ClientSession() as http:
        vms = [{"lab_request_id": "a", "created_at": "2026-11-25T08:00:00Z", "user_id": "ann"}, {"lab_request_id": "b"}]
        async with http.post(f"{mock.url}/__vms", json=vms) as response:
            assert (response.status, await response.json()) == (200, vms)
        mock.put_vms(Vm(lab_request_id="b", user_id="bob"))
        await delete(http, mock, "a")
        async with http.get(f"{mock.url}/api/v1/labs") as response:
            assert (response.status, await response.json()) == (200, [{"lab_request_id": "b", "user_id": "bob"}])
        assert [(call.route, call.lab_request_id) for call in mock.calls()] == [("delete", "a"), ("list", None)]


@pytest.mark.parametrize("body", ["{}", '[{"lab_request_id": 1}]', '{"lab_request_id": "a", "age": 1}', "no"])
async def test_what_is_no_vm_is_not_put_on_the_list(body: str) -> None:
    """A 400 that says what is wrong."""
    async with running() as mock, ClientSession() as http:
        async with http.post(f"{mock.url}/__vms", data=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]
        async with http.get(f"{mock.url}/api/v1/labs") as response:
            assert await response.json() == []


async def test_the_list_has_faults_like_the_other_routes() -> None:
    """Those of its route, and those of any."""
    async with running(token=TOKEN, faults=[Status(status=503, route="list", times=1)]) as mock:
        async with ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            assert [await delete(http, mock), await _list(http, mock), await _list(http, mock)] == [202, 503, 200]
            mock.add_fault(NonJson())
            assert [await _list(http, mock), await delete(http, mock)] == [200, 200]
        async with ClientSession() as http:
            assert await _list(http, mock) == 401
        assert mock.deleted == ["vm-1"]


async def _list(http: ClientSession, mock: MockBackend) -> int:
    async with http.get(f"{mock.url}/api/v1/labs") as response:
        await response.read()
        return response.status
