# ruff: noqa: E501, Q003, RUF001 - tables of words in many scripts
"""Names, places and texts from many countries and in many scripts."""

from __future__ import annotations

from typing import Final

# as written, as in an e-mail address
FIRST_NAMES: Final = (
    ("Anna", "anna"), ("María José", "maria.jose"), ("Zoë", "zoe"), ("Jürgen", "juergen"),
    ("Siobhán", "siobhan"), ("Łukasz", "lukasz"), ("Ørjan", "orjan"), ("François", "francois"),
    ("Ceyda", "ceyda"), ("Ağın", "agin"), ("Иван", "ivan"), ("Ольга", "olga"),
    ("Ελένη", "eleni"), ("Νίκος", "nikos"), ("محمد", "mohammed"), ("فاطمة", "fatima"),
    ("דוד", "david"), ("शिव", "shiv"), ("प्रिया", "priya"), ("কামাল", "kamal"),
    ("தமிழ்", "tamil"), ("สมชาย", "somchai"), ("Nguyễn Thị", "nguyen.thi"), ("伟", "wei"),
    ("芳", "fang"), ("さくら", "sakura"), ("ケンジ", "kenji"), ("민준", "minjun"),
    ("서연", "seoyeon"), ("Թամար", "tamar"), ("გიორგი", "giorgi"), ("ሰላም", "selam"),
    ("Chukwuemeka", "chukwuemeka"), ("Aoife-Marie", "aoife"), ("D'Angelo", "dangelo"),
    ("Jean‑Luc", "jeanluc"), ("O", "o"), ("Renée", "renee"), ("Björk", "bjork"), ("Ñusta", "nusta"),
)  # fmt: skip
LAST_NAMES: Final = (
    ("Smith", "smith"), ("O'Connor", "oconnor"), ("García Márquez", "garcia"), ("Müller", "mueller"),
    ("Þórsdóttir", "thorsdottir"), ("Wałęsa", "walesa"), ("Sørensen", "sorensen"),
    ("Lefèvre", "lefevre"), ("Yıldız", "yildiz"), ("Достоевский", "dostoevsky"),
    ("Παπαδόπουλος", "papadopoulos"), ("الفارابي", "alfarabi"), ("כהן", "cohen"),
    ("शर्मा", "sharma"), ("রহমান", "rahman"), ("ศรีสุวรรณ", "srisuwan"), ("Trần", "tran"),
    ("王", "wang"), ("歐陽", "ouyang"), ("山田", "yamada"), ("김", "kim"), ("Հակոբյան", "hakobyan"),
    ("ბერიძე", "beridze"), ("von der Straße", "strasse"), ("de la Cruz", "delacruz"),
    ("Nwosu", "nwosu"), ("van 't Hoff", "vanthoff"), ("Null", "null"), ("Test", "test"),
    ("Đặng", "dang"), ("Ó Súilleabháin", "osuilleabhain"), ("Å", "aa"), ("Zhuravlyov", "zhuravlyov"),
)  # fmt: skip
PLACES: Final = (
    ("São Paulo", "Brazil", "01310-100"), ("Zürich", "Switzerland", "8001"),
    ("Москва", "Russia", "101000"), ("東京都", "Japan", "100-0001"), ("서울", "South Korea", "04524"),
    ("القاهرة", "Egypt", "11511"), ("Göteborg", "Sweden", "411 03"), ("Kraków", "Poland", "30-001"),
    ("Dublin 2", "Ireland", "D02 X285"), ("London", "United Kingdom", "SW1A 1AA"),
    ("Winchester-on-the-Severn", "United States", "21401"), ("Boston", "United States", "02101"),
    ("Αθήνα", "Greece", "105 57"), ("मुंबई", "India", "400001"), ("กรุงเทพฯ", "Thailand", "10200"),
    ("Llanfairpwllgwyngyll", "United Kingdom", "LL61 5UJ"), ("Reykjavík", "Iceland", "101"),
)  # fmt: skip
STREETS: Final = (
    "Main Street", "Bahnhofstraße", "Rue de l'Église", "ул. Ленина", "中山路", "Avenida Paulista",
    "شارع التحرير", "Strandvägen", "Calle Ñuñoa\n2º piso, puerta B", "Via dell'Orso",
)  # fmt: skip
JOBS: Final = (
    "CEO", "Head of R&D", "Geschäftsführer/in", "営業部長", "Directrice générale", "VP, Sales",
    "Software Engineer", "Инженер", "Owner", "Compliance & \"Risk\" Officer", "Praktikant 🧑‍💻",
)  # fmt: skip
COMPANY_WORDS: Final = (
    ("Acme", "acme"), ("Blåbær", "blabaer"), ("Ünlü", "unlu"), ("株式会社さくら", "sakura"),
    ("Северсталь", "sever"), ("Café Olé", "cafeole"), ("Müller & Söhne", "mueller"),
    ("شركة النور", "alnoor"), ("Nordic Light", "nordiclight"), ("삼성당", "samsungdang"),
    ("L'Étoile", "letoile"), ("Quokka", "quokka"), ("Łódź Textile", "lodz"), ("Delta", "delta"),
)  # fmt: skip
COMPANY_FORMS: Final = ("GmbH", "Ltd.", "S.A.", "Inc.", "AB", "K.K.", "OÜ", "d.o.o.", "LLC", "")
SENTENCES: Final = (
    "Called on Tuesday; wants a quote for 1,200 seats.",
    "Bitte nicht vor 10 Uhr anrufen – Herr Groß ist sonst verärgert.",
    "お見積もりをお願いします。",
    "Клиент просит перезвонить после праздников.",
    'Said: "we\'ll see" & asked about <b>SSO</b>.',
    "🎉 Renewal signed! 🚀",
    "Path is C:\\temp\\new, tab\there.",
    "المرجو الاتصال بنا قريبا.",
    "No budget before Q3; see https://example.com/?a=1&b=2;c=3.",
    "{\"json\": [\"looking\", null]} was pasted here",
)  # fmt: skip
