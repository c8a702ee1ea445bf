# packages: pyyaml
# result: [[{"name":"Mark McGwire","hr":65},{"name":"Sammy Sosa","avg":0.288}],"a:\n- 1\n- 2\n"]
import yaml
text = "- name: Mark McGwire\n  hr: 65\n- {name: Sammy Sosa, avg: 0.288}\n"
data = yaml.safe_load(text)
try: yaml.load("!!python/object/apply:os.getcwd []", Loader=yaml.SafeLoader)
except yaml.constructor.ConstructorError as error: print(error.problem)
set_result([data, yaml.dump({"a": [1, 2]})])
