"""Makes the requests beside this file, with nothing but Python's standard library:

    python3 make.py DIRECTORY

One request for every sender's scheme that a source of the relay can express, and
senders.json, which says what each is and how it is verified. What a sender does not
publish is assumed, and "assumed" says so. The test of the package runs this file
again and compares, and has openssl make the same MACs where "openssl" is set.
"""
import base64, hashlib, hmac, json, pathlib, sys

OUT = pathlib.Path(sys.argv[1])
AT = 1_700_000_000  # 2023-11-14T22:13:20Z
SECRET = "fixture-secret-2026"
# Spaces, an escape, a number beyond float64, non-ASCII: nothing may touch these bytes.
BODY = '{"actionType": "CALL_DISCONNECTED", "contactId": 900719925474010002, "note": "caf\\u00e9 \u20ac <b>"}\n'.encode()
XML = b'<event type="Page_Create"><page id="42"/></event>'


def mac(text, secret=SECRET, how="sha256"):
    if isinstance(secret, str):
        secret = secret.encode()
    return hmac.new(secret, text, getattr(hashlib, how)).digest()


def b64(b):
    return base64.b64encode(b).decode()


def scheme(header, encoding="hex", algorithm="hmac-sha256", prefix="", signed="{body}", ts=None, sep="", id_header="", secret_encoding="raw"):
    s = {"Header": header, "Algorithm": algorithm, "Encoding": encoding, "Prefix": prefix, "Signed": signed,
         "SecretEncoding": secret_encoding, "IDHeader": id_header, "List": {"Separator": sep}}
    if ts:
        s["Timestamp"] = {**ts, "Tolerance": 300_000_000_000}
    if algorithm == "static":
        s["Signed"] = ""
    return s


senders = []


def sender(name, row, headers, sch, body=BODY, secret=SECRET, other="", assumed="", openssl="", target="/cxone/webhook"):
    lines = [f"POST {target} HTTP/1.1", "Host: relay.example.com", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{k}: {v}" for k, v in headers]
    (OUT / f"{name}.http").write_bytes("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    senders.append({"name": name, "row": row, "secret": secret, "other": other, "at": AT, "assumed": assumed, "openssl": openssl, "scheme": sch})


def body_hmac(name, row, header, encoding="hex", algorithm="hmac-sha256", prefix="", upper=False, **more):
    m = mac(BODY, how=algorithm.removeprefix("hmac-"))
    text = m.hex() if encoding == "hex" else b64(m)
    sender(name, row, [(header, prefix + (text.upper() if upper else text))], scheme(header.lower(), encoding, algorithm, prefix),
           openssl="" if encoding != "hex" else algorithm.removeprefix("hmac-"), **more)


def stamped(name, row, header, time_header, join="{timestamp}.{body}", prefix="", unit="s", body=BODY, **more):
    stamp = str(AT * 1000 if unit == "ms" else AT)
    text = join.replace("{timestamp}", stamp).encode().replace(b"{body}", body)
    sender(name, row, [(time_header, stamp), (header, prefix + mac(text).hex())],
           scheme(header.lower(), prefix=prefix, signed=join, ts={"Header": time_header.lower(), "Unit": unit}), body=body, **more)


def listed(name, row, header, key, version, sep, join, unit="s", **more):
    stamp = str(AT * 1000 if unit == "ms" else AT)
    text = join.replace("{timestamp}", stamp).encode().replace(b"{body}", BODY)
    old = mac(text, "the secret before").hex()
    sender(name, row, [(header, f"{key}={stamp}{sep}{version}={old}{sep}{version}={mac(text).hex()}")],
           scheme(header.lower(), prefix=version + "=", signed=join, ts={"Key": key, "Unit": unit}, sep=sep), **more)


def static(name, row, header, prefix="", encoding="plain", value=SECRET, **more):
    text = value if encoding == "plain" else b64(value.encode())
    sender(name, row, [(header, prefix + text)], scheme(header.lower(), encoding, "static", prefix), secret=value, **more)


def standard(name, row, family):
    raw = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sig = b64(mac(f"msg_p5jXN8AQM9LWM0D4loKWxJek.{AT}.".encode() + BODY, raw))
    sender(name, row, [(f"{family}-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), (f"{family}-timestamp", str(AT)), (f"{family}-signature", "v1,AAAA v1," + sig)],
           scheme(f"{family}-signature", "base64", prefix="v1,", signed="{id}.{timestamp}.{body}", ts={"Header": f"{family}-timestamp", "Unit": "s"},
                  sep=" ", id_header=f"{family}-id", secret_encoding="whsec"), secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


# NICE, Cognigy, Genesys and their like.
body_hmac("cxone", "founding document", "x-cxone-signature")
body_hmac("cxone-body", "CXone, 13650", "X-CXone-Signature", assumed="the body alone is signed, in hex")
stamped("cxone-timestamp", "CXone, 13650", "X-CXone-Signature", "X-CXone-Timestamp", assumed="timestamp and body are joined by a dot")
body_hmac("nice-hex", "CXone, 12844", "X-Nice-Signature", assumed="hex, the body alone")
body_hmac("nice-base64", "CXone, 12844", "X-Nice-Signature", encoding="base64", assumed="base64, the body alone")
stamped("nice-webhook", "CXone, 15984", "X-Nice-Webhook-Signature", "X-Nice-Webhook-Timestamp")
body_hmac("nice-data-action", "Data Action, 20116", "X-Nice-Webhook-Signature", encoding="base64")
body_hmac("message-signature", "Data Action, 20465", "X-Message-Signature")
static("cxone-webhook-secret", "Data Action, 20429", "X-CXone-Webhook-Secret")
stamped("cxone-custom", "CXone and Genesys, 18129", "X-Custom-Signature", "X-Custom-Timestamp", join="{timestamp}{body}",
        assumed="the names of the headers, hex, and no character between timestamp and body")
stamped("nice-expert", "NICE Expert", "X-Nexus-Signature-256", "X-Nexus-Timestamp", prefix="sha256=", body=XML)
static("studio-token", "CXone Studio REST action", "X-Relay-Token", assumed="the header that the script's author chose")
static("studio-bearer", "CXone Studio REST action", "Authorization", prefix="Bearer ")
static("byoc-bearer", "CXone BYOC", "Authorization", prefix="Bearer ", value="token-that-your-service-gave-out",
       assumed="your OAuth service gives out one fixed token")
static("studio-basic", "CXone Studio REST action", "Authorization", prefix="Basic ", encoding="base64", value="relay:" + SECRET)
body_hmac("cognigy", "Cognigy, 18933 and 20112", "X-Cognigy-Signature", assumed="hex")
body_hmac("cognigy-base64", "Cognigy, 18933 and 20112", "X-Cognigy-Signature", encoding="base64", assumed="base64")
body_hmac("cognigy-upper", "Cognigy, 19044", "X-Cognigy-Signature", upper=True, assumed="the name of the header")
body_hmac("cognigy-two-secrets", "Cognigy, 20508", "X-Cognigy-Signature", other="the secret to come", assumed="the body alone is signed")
body_hmac("genesys-open-messaging", "Genesys Open Messaging", "X-Hub-Signature-256", encoding="base64", prefix="sha256=")
body_hmac("genesys-multicloud", "Genesys Multicloud", "X-Hub-Signature", algorithm="hmac-sha1", prefix="sha1=")
body_hmac("genesys-hex", "Genesys, 13224, 11128, 10358, 9313", "X-Genesys-Signature", assumed="hex")
body_hmac("genesys-base64", "Genesys, 13224, 11128, 10358, 9313", "X-Genesys-Signature", encoding="base64", assumed="base64")
stamped("genesys-timestamp", "Genesys, 14253", "X-Genesys-Signature", "X-Genesys-Timestamp")
body_hmac("genesys-webhook", "Genesys, 11749", "X-Genesys-Webhook-Signature", assumed="hex, the body alone")
body_hmac("purecloud", "Genesys, 19015", "X-PureCloud-Webhook-Signature", assumed="hex, the body alone")

# Conventions of many senders.
standard("standard-webhooks", "Standard Webhooks", "webhook")
standard("svix", "Svix", "svix")
body_hmac("github", "GitHub", "X-Hub-Signature-256", prefix="sha256=")
listed("stripe", "Stripe", "Stripe-Signature", "t", "v1", ",", "{timestamp}.{body}")
listed("paddle", "Paddle", "Paddle-Signature", "ts", "h1", ";", "{timestamp}:{body}")
stamped("slack", "Slack", "X-Slack-Signature", "X-Slack-Request-Timestamp", join="v0:{timestamp}:{body}", prefix="v0=")
stamped("zoom", "Zoom", "x-zm-signature", "x-zm-request-timestamp", join="v0:{timestamp}:{body}", prefix="v0=")
body_hmac("shopify", "Shopify", "X-Shopify-Hmac-Sha256", encoding="base64")
body_hmac("woocommerce", "WooCommerce", "x-wc-webhook-signature", encoding="base64")
stamped("webflow", "Webflow", "x-webflow-signature", "x-webflow-timestamp", join="{timestamp}:{body}", unit="ms")
listed("dixa", "Dixa", "X-DIXA-SIGNATURE", "t", "v1", ",", "{timestamp}.{body}", unit="ms", assumed="timestamp and body are joined by a dot")
body_hmac("vercel", "Vercel", "x-vercel-signature", algorithm="hmac-sha1")
static("gitlab", "GitLab", "X-Gitlab-Token")
static("postmark", "Postmark", "Authorization", prefix="Basic ", encoding="base64", value="postmark:" + SECRET)

(OUT / "senders.json").write_text(json.dumps(senders, indent=1) + "\n")


# What the relay does not support: enough of each to be recognised, none of it valid.
def foreign(name, *headers, body=BODY):
    lines = ["POST /cxone/webhook HTTP/1.1", "Host: relay.example.com", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{k}: {v}" for k, v in headers]
    (OUT / f"foreign-{name}.http").write_bytes("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def b64url(b):
    return base64.urlsafe_b64encode(b).decode().rstrip("=")


JOSE = b64url(b'{"alg":"RS256"}')
JWT = JOSE + "." + b64url(b'{"sub":"x"}') + "." + b64url(bytes(256))
foreign("sigv4", ("X-Amz-Date", "20231114T221320Z"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-west-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + "0" * 64))
foreign("jwt", ("Authorization", "Bearer " + JWT))
foreign("gc-jwt", ("x-gc-signature", JWT))
foreign("8x8", ("x-8x8-signature", JOSE + ".." + b64url(bytes(256))), ("x-8x8-transmission-time", "2023-11-14T22:13:20Z"), ("x-8x8-event-id", "42"))
foreign("standard-ed25519", ("webhook-id", "msg_1"), ("webhook-timestamp", str(AT)), ("webhook-signature", "v1a," + b64(bytes(64))))
foreign("hubspot-v3", ("X-HubSpot-Signature-v3", b64(bytes(32))), ("X-HubSpot-Request-Timestamp", str(AT * 1000)))
foreign("hubspot-v1", ("X-HubSpot-Signature", hashlib.sha256(SECRET.encode() + BODY).hexdigest()), ("X-HubSpot-Signature-Version", "v1"))
foreign("twilio", ("X-Twilio-Signature", b64(bytes(20))))
foreign("coinbase", ("X-Hook0-Signature", f"t={AT},h=content-type,v1=" + "0" * 64))
foreign("sendgrid", ("X-Twilio-Email-Event-Webhook-Signature", b64(b"\x30\x44" + bytes(68))), ("X-Twilio-Email-Event-Webhook-Timestamp", str(AT)))
foreign("bridge", ("X-Webhook-Signature", f"t={AT}000,v0=" + b64(bytes(256))))
foreign("fusionauth", ("X-FusionAuth-Signature-JWT", JWT))
foreign("sns", ("x-amz-sns-message-type", "Notification"), body=b'{"Type":"Notification","SigningCertURL":"https://sns.example.com/x.pem"}')
foreign("mtls")
