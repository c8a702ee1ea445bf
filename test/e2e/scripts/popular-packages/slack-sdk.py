# packages: slack_sdk
# result: [{"text":{"text":"Hello","type":"mrkdwn"},"type":"section"},"https://slack.com/api/"]
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import SectionBlock
client = WebClient(token="xoxb-none", timeout=2)
try: client.chat_postMessage(channel="#random", text="Hello")
except (SlackApiError, OSError) as error: print(type(error).__name__)
set_result([SectionBlock(text="Hello").to_dict(), client.base_url])
