"""A plugin in another language, with only the standard library: each line of JSON on stdin and stdout is a message.

An engine starts it: `transport_ipc::child("python", Program::new("python3").arg("plugin.py"))`.
"""
import itertools, json, re, sys

wire, sys.stdout = sys.stdout, sys.stderr  # a stray `print` cannot break a message
numbers, answers = itertools.count(), {}

def send(**message):
    wire.write(json.dumps(message, allow_nan=False) + "\n")  # raises on invalid JSON before it writes anything
    wire.flush()

def not_json(text):
    raise ValueError(f"{text} is not JSON")

def read(line):
    """Decodes a message; one that Python cannot read (too deep, too many digits) becomes an error response."""
    try:
        message = json.loads(line, parse_constant=not_json)  # Python would accept `NaN`, and then fail to echo it
        return message if isinstance(message, dict) else {}
    except (ValueError, RecursionError) as error:
        head = line.partition(b'"payload"')[0]
        action = re.search(rb'"action"\s*:\s*"(\w+)"', head)
        number = re.search(rb'"id"\s*:\s*(-?\d{1,18}|"[\w-]*")\s*[,}]', head)
        if not (action and number):
            return {}
        return {"action": action[1].decode(), "id": json.loads(number[1]), "error": f"it cannot be read: {error!r:.200}"}

def receive():
    message = read(sys.stdin.buffer.readline() or sys.exit())  # end of input: the engine has closed the channel
    if message.get("action") == "response":
        answers[str(message.get("id"))] = message
    elif message.get("action") in ("request", "call"):
        answer = {field: message[field] for field in ("id", "name", "key") if field in message}
        try:
            if "error" in message:
                raise ValueError(message["error"])
            if message["key"] not in METHODS:
                raise LookupError(f"Method {message['key']} doesn't exist on plugin {message.get('name')}")
            send(action="response", **answer, payload=METHODS[message["key"]](*message["payload"]))
        except Exception as error:  # the method's error, or its result is not JSON
            send(action="response", **answer, error=str(error) or repr(error))

def call(plugin, method, *args):
    """Calls another plugin, and answers incoming requests until the response arrives."""
    number = next(numbers)
    send(action="request", id=number, name=plugin, key=method, payload=args)
    while str(number) not in answers:
        receive()
    answer = answers.pop(str(number))
    if answer.get("error"):
        raise RuntimeError(answer["error"])
    return answer.get("payload")

def add(a, b):
    return a + b

def greet(name):
    send(action="emit", key="greeted", payload=[name])
    return f"Hello, {name}!"

METHODS = {"add": add, "greet": greet, "relay": call}
METHODS["handshake"] = lambda *_: [name for name in METHODS if name != "handshake"]

send(action="request", id=-1, key="handshake")
while True:
    receive()
