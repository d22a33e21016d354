"""One question for all who need the password; nobody waits for an answer that will not come."""

import asyncio
import copy
import threading

import pytest

from meshcluster.errors import ConfigError, Interrupted, SudoFailed
from meshcluster.jobs import console
from meshcluster.jobs.passwords import Passwords, Question, twice
from tests.jobs.person import Person

SITES = ("s1", "s2", "s3", "s4", "s5")
WAIT_SECONDS = 10
ERRORS = (Interrupted, SudoFailed, asyncio.CancelledError)


class Slow(Person):
    """Asked by ``asked``; answers when ``may_answer``."""

    def __init__(self, *answers):
        super().__init__(*answers)
        self.asked, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, question):
        self.asked.set()
        assert self.may_answer.wait(WAIT_SECONDS)
        return super().__call__(question)


async def sudo(passwords, site, right="secret"):
    """A command at a site as who sees sudo's prompt runs it: the passwords it had."""
    tries, had = passwords.tries(site, "root"), []
    while not had or had[-1] != right:
        had.append(await tries.next())
        await asyncio.sleep(0)  # sudo takes its time
    return had


async def everywhere(passwords, **how):
    running = (sudo(passwords, site, **how) for site in SITES)
    return await asyncio.gather(*running, return_exceptions=True)


async def until(event):
    assert await asyncio.to_thread(event.wait, WAIT_SECONDS)


async def all_wait(passwords, many):
    async with asyncio.timeout(WAIT_SECONDS):
        while passwords._asked is None or len(passwords._asked.waiting) < many:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class TestFiveSites:
    async def test_a_known_password_is_not_asked_for(self):
        person = Person("secret")
        passwords = Passwords(person)
        passwords.set("secret")
        assert await everywhere(passwords) == [["secret"]] * 5
        assert person.questions == []

    async def test_an_unknown_one_is_asked_for_once(self):
        person = Person("secret")
        assert await everywhere(Passwords(person)) == [["secret"]] * 5
        assert person.questions == [Question("s1", "root", 1)]

    async def test_a_wrong_one_is_tried_once_at_each_then_asked_for_once(self):
        person = Person("secret")
        passwords = Passwords(person)
        passwords.set("old")
        assert await everywhere(passwords) == [["old", "secret"]] * 5
        assert person.questions == [Question("s1", "root", 2)]

    async def test_what_is_always_wrong_ends_after_five(self):
        person = Person(*"abcdef")
        with pytest.raises(SudoFailed, match=r"^5 passwords were not right at s1$"):
            await sudo(Passwords(person), "s1")
        assert [question.attempt for question in person.questions] == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("trouble", [KeyboardInterrupt(), Interrupted("by hand")])
    async def test_an_interrupt_at_the_question_ends_all(self, trouble):
        person = Slow(trouble, "secret")
        passwords = Passwords(person)
        running = asyncio.create_task(everywhere(passwords))
        await until(person.asked)
        await all_wait(passwords, 5)
        person.may_answer.set()
        assert [type(each) for each in await running] == [Interrupted] * 5
        assert await sudo(passwords, "s1") == ["secret"]  # the next one asks again

    async def test_when_the_one_who_asks_is_cancelled_the_question_goes_on_for_the_others(self):
        person = Slow("secret")
        passwords = Passwords(person)
        tasks = [asyncio.create_task(sudo(passwords, site)) for site in SITES]
        await all_wait(passwords, 5)
        for each in tasks[:2]:
            each.cancel()
            await asyncio.wait([each])
        person.may_answer.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in ends] == [asyncio.CancelledError] * 2 + [list] * 3
        assert len(person.questions) == 1

    async def test_when_nobody_waits_any_more_the_question_is_given_up(self):
        person = Slow("late", "secret")
        passwords = Passwords(person)
        tasks = [asyncio.create_task(sudo(passwords, site)) for site in SITES]
        await all_wait(passwords, 5)
        asking = passwords._asked.asking
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        assert repr(passwords) == "<Passwords empty>"
        with pytest.raises(Interrupted, match="given up"):
            asking.ask("password: ")
        person.may_answer.set()

    async def test_one_who_waits_and_is_cancelled_leaves_the_others_be(self):
        person = Slow("secret")
        passwords = Passwords(person)
        tasks = [asyncio.create_task(sudo(passwords, site)) for site in SITES]
        await all_wait(passwords, 5)
        tasks[2].cancel()
        await asyncio.wait([tasks[2]])
        person.may_answer.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, ERRORS) for each in ends] == [False, False, True, False, False]

    async def test_what_the_provider_raises_ends_all_with_that_as_the_cause(self):
        person = Slow(OSError("secret in here"))
        passwords = Passwords(person)
        running = asyncio.create_task(everywhere(passwords))
        await all_wait(passwords, 5)
        person.may_answer.set()
        ends = await running
        assert [type(each.__cause__) for each in ends] == [OSError] * 5
        text = "who was asked for the sudo password of root at s1 raised OSError"
        assert {str(each) for each in ends} == {text}
        assert len(set(map(id, ends))) == 5  # each may be raised in a thread of its own


class TestTries:
    async def test_a_rejected_one_is_forgotten_at_once(self):
        passwords = Passwords(Slow("secret"))
        passwords.set("old")
        tries = passwords.tries("s1", "root")
        assert await tries.next() == "old"
        assert repr(passwords) == "<Passwords set>"
        asking = asyncio.create_task(tries.next())
        await all_wait(passwords, 1)
        assert repr(passwords) == "<Passwords asking>"
        passwords._provider.may_answer.set()
        assert await asking == "secret"

    async def test_a_rejected_one_leaves_a_newer_one_kept(self):
        passwords = Passwords(Person())
        passwords.set("old")
        tries = passwords.tries("s1")
        assert await tries.next() == "old"
        passwords.set("new")
        assert await tries.next() == "new"

    async def test_none_is_given_twice_though_it_is_answered_again(self):
        person = Person("wrong")
        tries = Passwords(person).tries("s1")
        assert await tries.next() == "wrong"
        with pytest.raises(SudoFailed, match="5 passwords"):
            await tries.next()
        assert len(person.questions) == 5

    async def test_one_that_is_set_again_is_not_given_again(self):
        passwords = Passwords(Person("secret"))
        passwords.set("wrong")
        tries = passwords.tries("s1")
        assert await tries.next() == "wrong"
        passwords.set("wrong")
        assert await tries.next() == "secret"

    async def test_the_number_of_attempts_can_be_chosen(self):
        tries = Passwords(Person("wrong"), attempts=1).tries("s1")
        await tries.next()
        with pytest.raises(SudoFailed, match=r"^the password was not right at s1$"):
            await tries.next()
        with pytest.raises(ConfigError, match="attempts"):
            Passwords(attempts=0)


class TestProviders:
    async def test_an_async_one_runs_in_the_loop_of_who_asks(self):
        loops = []

        async def provider(question):
            loops.append(asyncio.get_running_loop())
            return "secret"

        assert await everywhere(Passwords(provider)) == [["secret"]] * 5
        assert loops == [asyncio.get_running_loop()]

    async def test_an_async_one_is_cancelled_with_the_last_who_waits_not_with_who_asks(self):
        begun, answer, ended = [], asyncio.Event(), asyncio.Event()

        async def provider(question):
            begun.append(question)
            try:
                await answer.wait()
            finally:
                ended.set()
            return "secret"

        passwords = Passwords(provider)
        tasks = [asyncio.create_task(sudo(passwords, site)) for site in SITES[:3]]
        await all_wait(passwords, 3)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        assert not ended.is_set()
        for each in tasks[1:]:
            each.cancel()
        await asyncio.wait(tasks)
        await asyncio.wait_for(ended.wait(), WAIT_SECONDS)
        assert repr(passwords) == "<Passwords empty>"
        answer.set()
        assert await everywhere(passwords) == [["secret"]] * 5
        assert len(begun) == 2

    async def test_one_that_awaits_what_was_cancelled_has_failed_and_interrupts_nobody(self):
        async def provider(question):
            raise asyncio.CancelledError

        with pytest.raises(SudoFailed, match="raised CancelledError"):
            await Passwords(provider).ask()

    def test_an_async_one_serves_who_blocks(self):
        async def provider(question):
            return "secret"

        passwords = Passwords(provider)
        passwords.prompt("s1")
        assert asyncio.run(sudo(passwords, "s1")) == ["secret"]

    @pytest.mark.parametrize(
        ("given", "why"),
        [(None, "not NoneType"), ("secret\n", "line break"), ("\0", "NUL"), ("\ud800", "UTF-8")],
    )
    async def test_what_can_be_no_password_is_refused_and_not_shown(self, given, why):
        passwords = Passwords(Person(given))
        with pytest.raises(SudoFailed, match=why) as refused:
            await passwords.ask()
        assert "secret" not in str(refused.value)
        with pytest.raises(SudoFailed, match=why):
            passwords.set(given)

    async def test_one_that_asks_twice_wants_the_same_twice(self):
        person = Person("secret", "secret", "secret", "sceret", "secret")
        passwords = Passwords(twice(person))
        assert await sudo(passwords, "s1") == ["secret"]
        assert [question.again for question in person.questions] == [False, True]
        passwords.reset()
        with pytest.raises(SudoFailed, match=r"^the two passwords differ$"):
            await passwords.ask()

    async def test_an_async_one_can_ask_twice(self):
        person = Person("secret", "sceret")

        async def provider(question):
            return person(question)

        with pytest.raises(SudoFailed, match="differ"):
            await Passwords(twice(provider)).ask("s1")

    def test_the_question_says_whose_password_and_which_attempt(self):
        assert Question("web1", "deploy").prompt == "sudo password of deploy at web1: "
        assert Question("web1").prompt == "sudo password of web1: "
        assert Question().prompt == "sudo password: "
        third = Question("web1", "", 3, again=True)
        assert third.prompt == "sudo password of web1 (attempt 3, again): "


class TestAskingBeforehand:
    async def test_asks_once_and_keeps_it(self):
        person = Person("secret")
        passwords = Passwords(person)
        await asyncio.gather(passwords.ask("s1"), passwords.ask("s2"))
        await passwords.ask()
        assert await everywhere(passwords) == [["secret"]] * 5
        assert person.questions == [Question("s1")]

    async def test_who_would_block_a_loop_is_told(self):
        with pytest.raises(RuntimeError, match=r"await passwords.ask\(\)"):
            Passwords(Person("secret")).prompt()

    def test_a_failure_reaches_who_blocks(self):
        person = Person(KeyboardInterrupt(), "secret")
        passwords = Passwords(person)
        with pytest.raises(Interrupted, match=r"at the question for the sudo password of s1$"):
            passwords.prompt("s1")
        passwords.prompt("s1")
        assert repr(passwords) == "<Passwords set>"


class TestSetAndReset:
    async def test_set_wakes_who_waits_and_ends_the_question(self):
        person = Slow("late")
        passwords = Passwords(person)
        running = asyncio.create_task(everywhere(passwords))
        await all_wait(passwords, 5)
        passwords.set("secret")
        assert await running == [["secret"]] * 5
        person.may_answer.set()

    async def test_what_is_answered_after_set_changes_nothing(self):
        answered = asyncio.Event()

        async def provider(question):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                answered.set()
            return "late"

        passwords = Passwords(provider)
        running = asyncio.create_task(sudo(passwords, "s1"))
        await all_wait(passwords, 1)
        await asyncio.to_thread(passwords.set, "secret")
        assert await running == ["secret"]
        await asyncio.wait_for(answered.wait(), WAIT_SECONDS)
        assert await sudo(passwords, "s2") == ["secret"]

    async def test_reset_fails_who_waits_and_forgets(self):
        person = Slow("late", "secret")
        passwords = Passwords(person)
        running = asyncio.create_task(everywhere(passwords))
        await all_wait(passwords, 5)
        passwords.reset()
        assert [type(each) for each in await running] == [SudoFailed] * 5
        person.may_answer.set()
        assert repr(passwords) == "<Passwords empty>"

    def test_what_is_forgotten_or_replaced_is_zeroed(self):
        passwords = Passwords()
        passwords.set("first")
        first = passwords._kept
        passwords.set("second")
        second = passwords._kept
        passwords.reset()
        assert first == bytes(5)
        assert second == bytes(6)

    def test_it_is_kept_not_copied_and_never_shown(self):
        passwords = Passwords()
        passwords.set("secret")
        assert passwords.shared
        assert copy.copy(passwords) is copy.deepcopy([passwords])[0] is passwords
        assert "secret" not in repr(passwords) + str(passwords) + f"{vars(passwords)['_asked']}"


class TestThreads:
    def in_threads(self, *works):
        """What each returns or raises."""
        ends = [None] * len(works)

        def run(place, work):
            try:
                ends[place] = work()
            except Exception as error:
                ends[place] = type(error)

        threads = [threading.Thread(target=run, args=each) for each in enumerate(works)]
        for each in threads:
            each.start()
        return threads, ends

    def loops_and_a_blocked_thread(self, passwords):
        return self.in_threads(
            lambda: asyncio.run(everywhere(passwords)),
            lambda: asyncio.run(everywhere(passwords)),
            lambda: passwords.prompt("s9"),
        )

    @pytest.mark.parametrize("answer", ["secret", KeyboardInterrupt()])
    def test_two_loops_and_a_blocked_thread_share_one_question(self, answer):
        person = Slow(answer)
        passwords = Passwords(person)
        threads, ends = self.loops_and_a_blocked_thread(passwords)
        assert person.asked.wait(WAIT_SECONDS)
        asyncio.run(all_wait(passwords, 11))
        person.may_answer.set()
        for each in threads:
            each.join(WAIT_SECONDS)
        assert len(person.questions) == 1
        if answer == "secret":
            assert ends == [[["secret"]] * 5, [["secret"]] * 5, None]
        else:
            assert [type(each) for each in ends[0] + ends[1]] == [Interrupted] * 10
            assert ends[2] is Interrupted

    @pytest.mark.parametrize("closed", ["cancelled", "forgotten"])
    def test_when_the_loop_ends_that_asks_another_one_asks(self, closed):
        asked, questions = threading.Event(), []

        async def provider(question):
            questions.append(question.site)
            if question.site == "s1":
                asked.set()
                await asyncio.Event().wait()
            return "secret"

        async def begin_and_go():
            kept.append(asyncio.create_task(passwords.ask("s1")))
            await until(asked)
            await all_wait(passwords, 3)

        def first():
            if closed == "cancelled":
                return asyncio.run(begin_and_go())
            loop = asyncio.new_event_loop()
            loop.run_until_complete(begin_and_go())
            for each in asyncio.all_tasks(loop):
                each._log_destroy_pending = False  # it is what is tested
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

        kept, passwords = [], Passwords(provider)
        threads, ends = self.in_threads(
            first,
            lambda: asked.wait(WAIT_SECONDS) and passwords.prompt("s2"),
            lambda: asked.wait(WAIT_SECONDS) and asyncio.run(passwords.ask("s3")),
        )
        for each in threads:
            each.join(WAIT_SECONDS)
        assert ends == [None, None, None]
        assert len(questions) == 2
        assert repr(passwords) == "<Passwords set>"

    async def test_who_asks_in_a_provider_of_ones_own_can_be_given_up(self):
        """The terminal's question is known by the thread or the task it is asked in."""
        found = []

        def provider(question):
            found.append(console._current.get())
            return "secret"

        await Passwords(provider).ask()
        assert isinstance(found[0], console.Asking)
        with pytest.raises(Interrupted):  # that question is over
            found[0].ask("password: ")
