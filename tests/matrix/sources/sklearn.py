"""scikit-learn's models of the matrix: fitted on real rows, dumped with joblib, given to the exporter as a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from tests.matrix.case import Made
from tests.matrix.data import Table, patients, tumours, wine
from tests.matrix.people import people
from tests.matrix.sources.estimators import of_numbers, of_people, of_sentences


def sklearn_logistic(folder: Path) -> Made:
    return of_numbers(folder, make_pipeline(StandardScaler(), LogisticRegression()), wine())


def sklearn_ridge(folder: Path) -> Made:
    return of_numbers(folder, Ridge(), patients())


def sklearn_tree(folder: Path) -> Made:
    return of_numbers(folder, DecisionTreeClassifier(max_depth=6, random_state=0), tumours())


def sklearn_forest(folder: Path) -> Made:
    return of_numbers(folder, RandomForestClassifier(20, random_state=0), tumours())


def sklearn_forest_alone(folder: Path) -> Made:
    """No samples: the exporter makes its rows from what the trees tell."""
    return replace(sklearn_forest(folder), samples={})


def sklearn_forest_regressor(folder: Path) -> Made:
    return of_numbers(folder, RandomForestRegressor(20, max_depth=8, random_state=0), patients())


def sklearn_scaled_forest(folder: Path) -> Made:
    """Full-grown trees on scaled whole numbers: many people share a value, and splits lie close to it."""
    chosen = people(texts=())
    model = make_pipeline(StandardScaler(), RandomForestClassifier(50, random_state=0))
    return of_people(folder, model, chosen)


def sklearn_extra_trees(folder: Path) -> Made:
    return of_numbers(folder, ExtraTreesClassifier(20, random_state=0), wine())


def sklearn_gradient_boosting(folder: Path) -> Made:
    return of_numbers(folder, GradientBoostingClassifier(n_estimators=20, random_state=0), wine())


def sklearn_adaboost(folder: Path) -> Made:
    return of_numbers(folder, AdaBoostClassifier(n_estimators=10, random_state=0), tumours())


def sklearn_histogram(folder: Path) -> Made:
    return of_numbers(folder, HistGradientBoostingClassifier(max_iter=20), tumours(), missing=True)


def sklearn_histogram_regressor(folder: Path) -> Made:
    return of_numbers(folder, HistGradientBoostingRegressor(max_iter=20), patients(), missing=True)


def sklearn_svc(folder: Path) -> Made:
    model = make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(), ensemble=False))
    return of_numbers(folder, model, tumours())


def sklearn_svr(folder: Path) -> Made:
    return of_numbers(folder, make_pipeline(StandardScaler(), SVR(C=100)), patients())


def sklearn_gaussian_bayes(folder: Path) -> Made:
    return of_numbers(folder, GaussianNB(), wine())


def sklearn_neighbours(folder: Path) -> Made:
    return of_numbers(folder, make_pipeline(StandardScaler(), KNeighborsClassifier(5)), wine())


def sklearn_neighbours_regressor(folder: Path) -> Made:
    return of_numbers(folder, make_pipeline(StandardScaler(), KNeighborsRegressor(5)), patients())


def sklearn_calibrated(folder: Path) -> Made:
    model = make_pipeline(StandardScaler(), CalibratedClassifierCV(LinearSVC(), method="sigmoid", cv=3))
    return of_numbers(folder, model, tumours())


def sklearn_calibrated_isotonic(folder: Path) -> Made:
    model = CalibratedClassifierCV(RandomForestClassifier(10, random_state=0), method="isotonic", cv=3)
    return of_numbers(folder, model, tumours())


def sklearn_network(folder: Path) -> Made:
    return of_numbers(
        folder, make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=60, random_state=0)), wine()
    )


def sklearn_components(folder: Path) -> Made:
    return of_numbers(folder, make_pipeline(StandardScaler(), PCA(5), LogisticRegression()), wine())


def sklearn_voting(folder: Path) -> Made:
    parts = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=4, random_state=0))]
    return of_numbers(folder, VotingClassifier(parts, voting="soft"), wine())


def sklearn_stacking(folder: Path) -> Made:
    parts = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=4, random_state=0))]
    return of_numbers(folder, StackingClassifier(parts, LogisticRegression(), cv=3), wine())


def sklearn_text_classes(folder: Path) -> Made:
    """Texts are the classes: probabilities would come as a list of dicts."""
    table = wine()
    names = np.array(["barolo", "grignolino", "barbera"])[table.fit_targets.astype(int)]
    named = Table(table.fit_rows, names, table.samples, table.held_out)
    return of_numbers(folder, make_pipeline(StandardScaler(), LogisticRegression()), named)


def sklearn_lambda(folder: Path) -> Made:
    """Code of the user's own inside a pipeline."""
    return of_numbers(folder, make_pipeline(FunctionTransformer(np.arcsinh), LogisticRegression(max_iter=50)), wine())


def sklearn_untrusted(folder: Path) -> Made:
    return replace(sklearn_ridge(folder), flags=())


def sklearn_tfidf(folder: Path) -> Made:
    return of_sentences(folder, make_pipeline(TfidfVectorizer(), LogisticRegression(C=20)))


def sklearn_tfidf_pairs(folder: Path) -> Made:
    vectors = TfidfVectorizer(ngram_range=(1, 2), lowercase=False)
    return of_sentences(folder, make_pipeline(vectors, LogisticRegression(C=20)))


def sklearn_tfidf_sublinear(folder: Path) -> Made:
    return of_sentences(folder, make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=20)))


def sklearn_counts_bayes(folder: Path) -> Made:
    return of_sentences(folder, make_pipeline(CountVectorizer(), MultinomialNB()))


def sklearn_latent_text(folder: Path) -> Made:
    return of_sentences(folder, make_pipeline(TfidfVectorizer(), TruncatedSVD(8, random_state=0), LogisticRegression()))


def sklearn_letters(folder: Path) -> Made:
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
    return of_sentences(folder, make_pipeline(vectors, LogisticRegression(C=20)))


def sklearn_char_wb(folder: Path) -> Made:
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3))
    return of_sentences(folder, make_pipeline(vectors, LogisticRegression(C=20)))


def sklearn_columns(folder: Path) -> Made:
    """Numbers and texts by name, several with a `-`; unknown texts and missing numbers have their place."""
    chosen = people()
    parts = [
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(chosen.numbers)),
        ("texts", OneHotEncoder(handle_unknown="ignore"), list(chosen.texts)),
    ]
    return of_people(
        folder, make_pipeline(ColumnTransformer(parts), LogisticRegression(max_iter=300)), chosen, missing=True
    )


def sklearn_columns_histogram(folder: Path) -> Made:
    chosen = people()
    parts = [
        ("numbers", "passthrough", list(chosen.numbers)),
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(chosen.texts)),
    ]
    model = make_pipeline(ColumnTransformer(parts), HistGradientBoostingClassifier(max_iter=20))
    return of_people(folder, model, chosen, missing=True)
