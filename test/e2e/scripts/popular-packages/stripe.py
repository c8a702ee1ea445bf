# packages: stripe
# result: ["evt_1","charge.failed"]
import stripe
client = stripe.StripeClient("sk_test_none", max_network_retries=0)
try: client.v1.customers.list()
except stripe.APIConnectionError as error: print(type(error).__name__)
event = stripe.Event.construct_from({"id": "evt_1", "type": "charge.failed"}, "key")
set_result([event.id, event["type"]])
