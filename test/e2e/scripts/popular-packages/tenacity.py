# packages: tenacity
# result: [3,"no"]
from tenacity import RetryError, retry, stop_after_attempt, wait_none
attempts = []
@retry(stop=stop_after_attempt(3), wait=wait_none())
def never(): attempts.append(1); raise OSError("no")
try: never()
except RetryError as error: set_result([len(attempts), str(error.last_attempt.exception())])
