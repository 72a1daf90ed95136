"""Names that are installed so often that a name beside one of them is worth a second look, and names beside them that are real.

Both are normalised, sorted, and short on purpose: a list of all names of an index would call every other one a lookalike.
"""

from __future__ import annotations

from typing import Final

__all__ = ["POPULAR", "REAL"]

POPULAR: Final = frozenset(
    """
accelerate aiobotocore aiofiles aiohappyeyeballs aiohttp aiosignal alembic annotated-types ansible anthropic anyio
apache-airflow argon2-cffi astroid asttokens attrs autopep8 awscli azure-core azure-identity azure-storage-blob babel
backoff bandit bcrypt beautifulsoup4 bitcoinlib black blinker bokeh boto3 botocore bottleneck cachetools catboost cattrs
celery certifi cffi chardet charset-normalizer click cloudpickle colorama comm confluent-kafka contourpy coverage
cryptography cycler cython dagster dash dask datasets debugpy decorator deprecated dill discord-py distlib distributed
django django-cors-headers django-filter djangorestframework dnspython docker docutils duckdb ecdsa elasticsearch
email-validator eventlet exceptiongroup execnet executing fabric factory-boy faker fastapi filelock fiona flake8 flask
flit-core fonttools freezegun frozenlist fsspec gensim geopandas gevent google-api-core google-auth google-cloud-bigquery
google-cloud-storage googleapis-common-protos gradio graphene great-expectations greenlet grpcio grpcio-tools gunicorn h11
h5py hatch hatchling html5lib httpcore httptools httpx huggingface-hub hypothesis idna imageio importlib-metadata
importlib-resources iniconfig invoke ipykernel ipython ipywidgets isort itsdangerous jedi jellyfish jinja2 jmespath joblib
jsonpatch jsonpointer jsonschema jsonschema-specifications jupyter jupyter-client jupyter-core jupyter-server jupyterlab
jupyterlab-widgets kafka-python keras kivy kiwisolver kombu kubernetes langchain langchain-core langgraph lightgbm llvmlite
locust loguru lxml markdown markdown-it-py markupsafe marshmallow matplotlib matplotlib-inline mdurl mistune mkdocs
mkdocs-material mlflow more-itertools moto mpmath msgpack multidict mypy mypy-extensions mysqlclient narwhals nbclient
nbconvert nbformat netcdf4 networkx nltk notebook nox numba numexpr numpy nvidia-cublas-cu12 oauthlib onnx onnxruntime
openai opencv-python opencv-python-headless openpyxl opentelemetry-api opentelemetry-sdk orjson packaging pandas paramiko
parso passlib pathspec pdm peewee pexpect phonenumbers pillow pip pipenv platformdirs plotly pluggy poetry poetry-core
polars pre-commit prefect prometheus-client prompt-toolkit propcache protobuf psutil psycopg psycopg2 psycopg2-binary
ptyprocess pure-eval py4j pyarrow pyasn1 pyasn1-modules pybind11 pycodestyle pycparser pycryptodome pycryptodomex pydantic
pydantic-core pyflakes pygame pygments pyinstaller pyjwt pylint pymongo pymysql pynacl pyopenssl pyparsing pyproj pyqt5
pyside6 pyspark pytest pytest-asyncio pytest-cov pytest-mock pytest-xdist python-dateutil python-dotenv python-jose
python-multipart pytz pywin32 pyyaml pyzmq rasterio ray redis referencing regex requests requests-oauthlib requests-toolbelt
responses retrying rich rpds-py rsa ruamel-yaml ruff s3fs s3transfer safetensors scikit-image scikit-learn scipy scrapy
seaborn selenium sentence-transformers sentencepiece sentry-sdk setuptools shapely shellingham simplejson six sniffio
snowflake-connector-python sortedcontainers soupsieve spacy sphinx sphinxcontrib-jsmath sqlalchemy sqlparse stack-data
starlette statsmodels strawberry-graphql streamlit structlog sympy tables tabulate tenacity tensorflow termcolor
threadpoolctl tiktoken tokenizers toml tomli tomlkit toolz torch torchaudio torchvision tornado tortoise-orm tox tqdm
traitlets transformers trio triton tweepy twisted typer typing-extensions tzdata tzlocal ujson urllib3 uvicorn uvloop vcrpy
virtualenv wandb watchdog watchfiles wcwidth web3 webencodings websocket-client websockets werkzeug wheel whitenoise
widgetsnbextension wrapt xarray xgboost xlrd xlsxwriter yarl zarr zipp zope-event zope-interface
""".split()  # noqa: SIM905 - sorted text, kept by people
)

#: Real projects whose names are a letter away from a popular one, or from each other.
REAL: Final = frozenset(
    """
aiofile authlib cchardet jsonpath pyaml scapy tensorboard tensorboardx unicorn uri-template uritemplate
""".split()  # noqa: SIM905 - sorted text, kept by people
)
