# packages: scikit-learn
# result: [[200,4],[5],true]
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
X, y = make_classification(n_samples=200, n_features=4, random_state=0)
scores = cross_val_score(RandomForestClassifier(max_depth=2, n_estimators=10, random_state=0), X, y, n_jobs=2)
set_result([X.shape, scores.shape, bool(scores.mean() > 0.8)])
