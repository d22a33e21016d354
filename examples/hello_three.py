"""Three shells: hello_one.py, hello_two.py, and this one, which asks both and prints
"Hello, World!". The order in which they are started does not matter; this one waits.
"""

import meshcluster

RUN_FOREVER = True  # when it is alone

with meshcluster.join(name="service_three") as cluster:
    print("waiting for hello_one.py and hello_two.py", flush=True)
    cluster.wait_for_services(2, resolve="word", timeout=3600)
    answers = cluster.query("your word, please", resolve=["word", "localhost"]).wait()
    words = {service.name: word for service, word in answers.items()}
    print(words["service_one"], words["service_two"])
