# packages: pydantic
# result: {"id":123,"name":"John Doe","friends":[1,2,3],"signup":"2017-06-01T12:22:00"}
from datetime import datetime
from pydantic import BaseModel, ValidationError
class User(BaseModel):
    id: int
    name: str = "John Doe"
    friends: list[int] = []
    signup: datetime | None = None
try: User(id="one")
except ValidationError as error: print(error)
set_result(User(id="123", signup="2017-06-01 12:22", friends=[1, "2", b"3"]).model_dump())
