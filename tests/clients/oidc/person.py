"""A person with a browser: opens a URL, follows redirects with cookies, submits each form that a page has, and prints the last page's text.

    person.py URL [deny]     deny: says no, by the login hint that the provider knows
"""
import html
import http.cookiejar
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

url = sys.argv[1] + ("&login_hint=nobody" if sys.argv[2:] == ["deny"] else "")
browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))


def get(address, data=None):
    try:
        with browser.open(address, data, timeout=10) as answer:
            return answer.geturl(), answer.read().decode()
    except urllib.error.HTTPError as e:
        return address, f"HTTP {e.code} {e.read().decode()}"


at, page = get(url)
for _ in range(6):
    found = re.search(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page, re.S)
    if not found:
        break
    fields = {}
    for tag in re.findall(r"<(?:input|button)[^>]*>", found[2]):
        attribute = dict(re.findall(r"(\w+)=\"([^\"]*)\"", tag))
        if "name" in attribute and attribute["name"] != "abort":
            fields[attribute["name"]] = html.unescape(attribute.get("value", ""))
    at, page = get(urllib.parse.urljoin(at, html.unescape(found[1])), urllib.parse.urlencode(fields).encode())
print(re.sub(r"<[^>]*>", "", page).strip())
