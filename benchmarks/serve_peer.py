"""The same artifact behind LitServe; runs in the peer's own environment, and knows nothing of ours.

`python serve_peer.py ARTIFACT PORT`: POST /predict takes {"data": [64 numbers]}.
"""

import sys

import litserve as ls
import numpy as np
import onnxruntime


class Digits(ls.LitAPI):
    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            sys.argv[1], options, providers=["CPUExecutionProvider"]
        )

    def decode_request(self, request: dict[str, list[int]]) -> np.ndarray:
        return np.array(request["data"], np.uint8).reshape(1, 1, 8, 8)

    def predict(self, image: np.ndarray) -> list[np.ndarray]:
        return self.session.run(["label", "probabilities"], {"image": image})

    def encode_response(self, output: list[np.ndarray]) -> dict[str, list]:
        label, probabilities = output
        return {"label": label.tolist(), "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(Digits(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False
    )
