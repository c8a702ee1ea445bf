# packages: networkx
# result: [["A","B","D"],0.6666666666666666]
import networkx as nx
G = nx.Graph()
G.add_edge("A", "B", weight=4)
G.add_weighted_edges_from([("B", "D", 2), ("A", "C", 3), ("C", "D", 4)])
set_result([nx.shortest_path(G, "A", "D", weight="weight"), nx.density(G)])
