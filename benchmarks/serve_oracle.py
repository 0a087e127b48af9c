"""NVIDIA's client of the protocol asks the endpoint; runs in an environment of its own.

`python serve_oracle.py HOST:PORT MODEL` prints, as JSON, what the client understood: that server
and model are ready, the model's metadata, and the answer to a picture of 8 x 8, whole and filtered.
"""

import json
import sys

import numpy as np
import tritonclient.http as client
from tritonclient.utils import InferenceServerException


def main() -> None:
    address, model = sys.argv[1:]
    server = client.InferenceServerClient(address)
    said = server.get_model_metadata(model)
    version = said["versions"][0]
    picture = (np.arange(64, dtype=np.uint8) % 17).reshape(1, 1, 8, 8)
    given = client.InferInput("image", picture.shape, "UINT8")
    given.set_data_from_numpy(picture, binary_data=False)
    outputs = [client.InferRequestedOutput("probabilities", binary_data=False)]
    whole = server.infer(model, [given], request_id="7", outputs=None, model_version=version)
    part = server.infer(model, [given], outputs=outputs)
    packed = client.InferInput("image", picture.shape, "UINT8")
    packed.set_data_from_numpy(picture, binary_data=True)
    asked = [
        client.InferRequestedOutput("label", binary_data=False),
        client.InferRequestedOutput("probabilities", binary_data=True),
    ]
    binary = server.infer(model, [packed], outputs=asked, request_id="8")
    unasked = server.infer(model, [packed])
    try:
        server.infer("nothing", [given], outputs=outputs)
        refused = ""
    except InferenceServerException as error:
        refused = str(error)
    print(
        json.dumps(
            {
                "live": server.is_server_live(),
                "ready": server.is_server_ready(),
                "model_ready": server.is_model_ready(model, version),
                "server": server.get_server_metadata()["name"],
                "inputs": said["inputs"],
                "id": whole.get_response()["id"],
                "label": whole.as_numpy("label").tolist(),
                "probabilities": whole.as_numpy("probabilities").tolist(),
                "filtered": [output["name"] for output in part.get_response()["outputs"]],
                "same": bool(
                    (part.as_numpy("probabilities") == whole.as_numpy("probabilities")).all()
                ),
                "binary": [
                    binary.get_response()["id"] == "8"
                    and (found.as_numpy(name) == whole.as_numpy(name)).all().item()
                    for found in (binary, unasked)
                    for name in ("label", "probabilities")
                ],
                "refused": refused,
            }
        )
    )


if __name__ == "__main__":
    main()
