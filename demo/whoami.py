"""The demo's web service: answers every request with the name of the task that it is."""

import http.server
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{os.environ['TASK']} on {os.environ['MACHINE']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        print(f"{self.client_address[0]} {format % arguments}", flush=True)


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    print(f"listening on port {port}", flush=True)
    http.server.ThreadingHTTPServer(("", port), Handler).serve_forever()
