# packages: elasticsearch
# result: [{"index":{"_id":1,"_index":"i"}},{"field":"x"}]
from elasticsearch import ConnectionError, Elasticsearch, helpers
client = Elasticsearch("https://nowhere.example:9200", api_key="key", request_timeout=2, max_retries=0)
try: client.info()
except ConnectionError as error: print(error)
set_result(list(helpers.expand_action({"_index": "i", "_id": 1, "field": "x"})))
