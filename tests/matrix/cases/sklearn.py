"""The cases of scikit-learn."""

from tests.matrix.case import Case, Equal, Group, Refused, Trap

SCALED = Equal(remedy="scaling by division")
ROUNDED = Equal(remedy="thresholds rounded down")
SENT = Equal(remedy="missing values sent down the trees")
FLAGS = Equal(remedy="booleans of histogram boosting")
SPLIT = Equal(remedy="words of two letters or more")
LOWERED = Equal(remedy="lower case by the locale C")

GROUP = Group(
    "scikit-learn",
    "tests.matrix.sources.sklearn",
    (
        Case("sklearn-logistic", "StandardScaler → logistic regression"),
        Case("sklearn-ridge", "ridge regression"),
        Case("sklearn-tree", "decision tree", SENT),
        Case("sklearn-forest", "random forest", SENT, fast=True),
        Case("sklearn-forest-alone", "random forest, no samples given", SENT),
        Case("sklearn-forest-regressor", "random forest regressor", SENT),
        Case(
            "sklearn-scaled-forest",
            "StandardScaler → random forest",
            SCALED,
            Trap.SCALER_BEFORE_FOREST,
            fast=True,
        ),
        Case("sklearn-extra-trees", "extra trees", SENT),
        Case("sklearn-gradient-boosting", "gradient boosting"),
        Case("sklearn-adaboost", "AdaBoost"),
        Case("sklearn-histogram", "histogram boosting, missing values", FLAGS, Trap.HISTOGRAM_BOOLEAN, fast=True),
        Case("sklearn-histogram-regressor", "histogram boosting regressor, missing values", ROUNDED),
        Case("sklearn-svc", "StandardScaler → SVM, calibrated"),
        Case("sklearn-svr", "StandardScaler → SVM regressor"),
        Case("sklearn-gaussian-bayes", "Gaussian naive Bayes"),
        Case("sklearn-neighbours", "StandardScaler → nearest neighbours"),
        Case("sklearn-neighbours-regressor", "StandardScaler → nearest neighbours regressor"),
        Case("sklearn-calibrated", "StandardScaler → linear SVM, calibrated on 3 folds"),
        Case(
            "sklearn-calibrated-isotonic",
            "random forest → isotonic calibration, steps on its values",
            SENT,
        ),
        Case("sklearn-network", "StandardScaler → multi-layer perceptron"),
        Case("sklearn-components", "StandardScaler → PCA → logistic regression"),
        Case("sklearn-voting", "vote of naive Bayes and tree", Equal(remedy="flatten_transform=False")),
        Case("sklearn-stacking", "stack of naive Bayes and tree"),
        Case("sklearn-text-classes", "logistic regression, classes are texts", Equal(), Trap.ZIPMAP, fast=True),
        Case("sklearn-lambda", "FunctionTransformer → logistic regression", Refused("FunctionTransformer")),
        Case("sklearn-untrusted", "a pickle without --trust-code", Refused("--trust-code")),
        Case("sklearn-tfidf", "TF-IDF → logistic regression", LOWERED, Trap.TFIDF_LOWERCASE, fast=True),
        Case("sklearn-tfidf-pairs", "TF-IDF of word pairs, cased → logistic regression", SPLIT),
        Case("sklearn-tfidf-sublinear", "TF-IDF of sublinear counts → logistic regression", Refused("sublinear_tf")),
        Case("sklearn-counts-bayes", "word counts → multinomial naive Bayes", LOWERED),
        Case("sklearn-latent-text", "TF-IDF → truncated SVD → logistic regression", LOWERED),
        Case("sklearn-letters", "TF-IDF of letters → logistic regression", Refused("ASCII alone")),
        Case("sklearn-char-wb", "TF-IDF of char_wb → logistic regression", Refused("char_wb"), Trap.CHAR_WB, fast=True),
        Case(
            "sklearn-columns",
            "mixed columns: imputer, scaler, sparse one-hot → logistic regression",
            Equal(),
            Trap.DASH_IN_COLUMN,
            fast=True,
        ),
        Case("sklearn-columns-histogram", "mixed columns: dense one-hot → histogram boosting", FLAGS),
    ),
)
