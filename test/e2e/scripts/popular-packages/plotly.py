# packages: plotly
# result: [true,"A figure"]
import plotly.graph_objects as go
fig = go.Figure(go.Bar(x=["a", "b"], y=[1, 3]))
fig.update_layout(title_text="A figure")
html = fig.to_html(include_plotlyjs=False)
set_result(["A figure" in html, fig.to_dict()["layout"]["title"]["text"]])
