"""The flagger of translation errors: right translations pass, planted errors are flagged, and the table is printed."""

from __future__ import annotations

import pytest

pytest.importorskip("py3langid", reason='needs pip install "hardcut[languages]"')

from hardcut.synth.rewording.translation import primary, signs_of_error

ORIGINALS = (
    "a red ball rolls across the grass from left to right",
    "the light goes out before the door is closed",
    'a market street with 3 cars, and a sign that reads "OPEN"',
)
RIGHT = {
    "de": (
        "ein roter Ball rollt von links nach rechts über das Gras",
        "das Licht geht aus, bevor die Tür geschlossen wird",
        'eine Marktstraße mit 3 Autos und einem Schild, auf dem "OPEN" steht',
    ),
    "fr": (
        "un ballon rouge roule dans l'herbe de gauche à droite",
        "la lumière s'éteint avant que la porte soit fermée",
        "une rue de marché avec 3 voitures et un panneau où l'on lit « OPEN »",
    ),
    "es": (
        "una pelota roja rueda por la hierba de izquierda a derecha",
        "la luz se apaga antes de que se cierre la puerta",
        'una calle de mercado con 3 coches y un letrero que dice "OPEN"',
    ),
    "pt-BR": (
        "uma bola vermelha rola pela grama da esquerda para a direita",
        "a luz se apaga antes que a porta seja fechada",
        'uma rua de mercado com 3 carros e uma placa que diz "OPEN"',
    ),
    "it": (
        "una palla rossa rotola sull'erba da sinistra a destra",
        "la luce si spegne prima che la porta venga chiusa",
        'una strada di mercato con 3 auto e un cartello con scritto "OPEN"',
    ),
    "pl": (
        "czerwona piłka toczy się po trawie od lewej do prawej",
        "światło gaśnie, zanim drzwi zostaną zamknięte",
        "ulica targowa z 3 samochodami i szyldem „OPEN”",
    ),
    "ru": (
        "красный мяч катится по траве слева направо",
        "свет гаснет раньше, чем закрывают дверь",
        "рыночная улица с 3 машинами и вывеской «OPEN»",
    ),
    "ar": (
        "كرة حمراء تتدحرج على العشب من اليسار إلى اليمين",
        "ينطفئ الضوء قبل أن يُغلق الباب",
        'شارع سوق فيه ٣ سيارات ولافتة مكتوب عليها "OPEN"',
    ),
    "zh-Hans": (
        "一个红球在草地上从左滚到右",
        "灯在门关上之前熄灭",
        '一条有3辆汽车的市场街，招牌上写着"OPEN"',
    ),
    "ja": (
        "赤いボールが芝生の上を左から右へ転がる",
        "ドアが閉まる前に明かりが消える",
        "車が3台ある市場通りと「OPEN」と書かれた看板",
    ),
    "tr": (
        "kırmızı bir top çimenlerin üzerinde soldan sağa yuvarlanıyor",
        "kapı kapanmadan önce ışık sönüyor",
        '3 arabanın olduğu bir pazar sokağı ve "OPEN" yazan bir tabela',
    ),
    "hi": (
        "एक लाल गेंद घास पर बाएं से दाएं लुढ़कती है",
        "दरवाज़ा बंद होने से पहले बत्ती बुझ जाती है",
        'एक बाज़ार की सड़क जिस पर 3 कारें हैं और "OPEN" लिखा एक बोर्ड',
    ),
}


def test_right_translations_pass_and_planted_errors_are_flagged() -> None:
    right = [(at, language, text) for language, texts in RIGHT.items() for at, text in enumerate(texts)]
    wrong = []
    for language, texts in RIGHT.items():
        other = next(each for each in RIGHT if primary(each) not in (primary(language), "zh"))
        wrong += [(at, language, ORIGINALS[at]) for at in range(3)]  # not translated at all
        wrong += [(at, language, RIGHT[other][at]) for at in range(2)]  # into another language
        wrong.append((2, language, texts[2].replace("3", "4").replace("٣", "٤")))  # another number
        wrong.append((2, language, texts[2].replace("OPEN", "GESCHLOSSEN")))  # another quotation
        wrong.append((2, language, texts[2].replace("3", "").replace("٣", "")))  # a number is gone
    false = [(each, found) for each in right if (found := signs_of_error(ORIGINALS[each[0]], "en", each[2], each[1]))]
    missed = [each for each in wrong if not signs_of_error(ORIGINALS[each[0]], "en", each[2], each[1])]
    print(f"\n{'':<14} flagged  kept\nright         {len(false):>8} {len(right) - len(false):>5}")
    print(f"wrong         {len(wrong) - len(missed):>8} {len(missed):>5}")
    assert len(false) <= 0.05 * len(right), false
    assert len(missed) <= 0.05 * len(wrong), missed


@pytest.mark.parametrize(
    ("text", "language", "sign"),
    [
        ("the light goes out before the door is closed", "de", "leaves as they are: before"),
        ("свет гаснет раньше, чем закрывают дверь", "de", "is written in Cyrl and not in Latn"),
        ("svet gasne pre nego što se vrata zatvore", "sr-Cyrl", "is written in Latn and not in Cyrl"),
        ("la lumière s'éteint avant que la porte soit fermée", "de", "reads as fr"),
    ],
)
def test_signs_say_what_is_wrong(text: str, language: str, sign: str) -> None:
    assert any(found.startswith(sign) for found in signs_of_error(ORIGINALS[1], "en", text, language))


def test_short_texts_and_languages_in_two_scripts_are_not_doubted() -> None:
    assert not signs_of_error("a red door", "en", "rote Tür", "de")
    for text in ("svet gasne pre nego što se vrata zatvore", "свет гасне пре него што се врата затворе"):
        assert not signs_of_error(ORIGINALS[1], "en", text, "sr"), text


def test_a_quotation_in_its_own_script_is_no_error() -> None:
    assert not signs_of_error(
        'a sign reads "ХЛЕБ" by the road', "en", "auf einem Schild an der Straße steht „ХЛЕБ“", "de"
    )
