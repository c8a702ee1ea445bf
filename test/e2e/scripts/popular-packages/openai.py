# packages: openai
# result: ["https://api.example/v1/",0]
import openai
client = openai.OpenAI(api_key="none", base_url="https://api.example/v1", max_retries=0, timeout=2)
try: client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
except openai.APIConnectionError as error: print(error)
set_result([str(client.base_url), client.max_retries])
