"""Two members that hold a word each, and a third that asks for them: prints "Hello, World!"."""

import meshcluster

WORDS = {"service_one": "Hello,", "service_two": "World!"}


def member(name: str, word: str) -> meshcluster.Cluster:
    cluster = meshcluster.Cluster()

    @cluster.hook("query")
    def answer(question: meshcluster.Message) -> str:
        if question.service is None or not question.service.local:
            raise PermissionError("only members of this host may ask")
        return word

    return cluster.join(tags=["word"], name=name)


members = [member(name, word) for name, word in WORDS.items()]
with meshcluster.join(name="service_three") as asker:
    asker.wait_for_services(2, resolve="word")
    answers = asker.query("your word, please", resolve=["word", "localhost"]).wait()
    words = {service.name: word for service, word in answers.items()}
    print(words["service_one"], words["service_two"])
for each in members:
    each.leave()
