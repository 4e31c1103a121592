"""The vocabulary that worlds are written with: ordinary words, enough that another seed gives another world."""

from __future__ import annotations

GARDENS = (
    "lawn", "park", "meadow", "orchard", "playground", "garden", "field", "pasture", "camp", "hillside", "valley", "terrace",
)
ROOMS = (
    "hall", "kitchen", "attic", "office", "studio", "cellar", "library", "bedroom", "workshop", "corridor", "nursery", "lobby",
)
OPPOSITES = (
    ("OPEN", "CLOSED"), ("WALK", "WAIT"), ("ARRIVALS", "DEPARTURES"), ("ENTRANCE", "EXIT"), ("SUMMER", "WINTER"), ("BREAKFAST", "DINNER"),
    ("VACANT", "OCCUPIED"), ("MORNING", "EVENING"), ("LOADING", "FINISHED"), ("SUNSHINE", "THUNDER"), ("EMPTY", "FULL"),
    ("NORTH", "SOUTH"), ("BEFORE", "AFTER"), ("START", "FINISH"), ("QUIET", "NOISE"), ("RISING", "FALLING"),
)
SHOPS = (
    "BAKERY", "FLORIST", "BARBER", "CHEMIST", "TAILOR", "GROCER", "BUTCHER", "OPTICIAN", "JEWELLER", "CARPENTER", "PRINTER", "LOCKSMITH",
    "BOOKSHOP", "MUSEUM", "LAUNDRY", "POTTERY", "CINEMA", "THEATRE", "STATION", "MARKET",
)
STREETS = (
    "MAPLE", "CEDAR", "WILLOW", "CHESTNUT", "LINDEN", "HAWTHORN", "ORCHARD", "MILL", "BRIDGE", "CASTLE", "ABBEY", "CANAL", "FOUNTAIN", "GARDEN",
    "HARVEST", "KING", "QUEEN", "BISHOP", "STATION", "TEMPLE",
)
TOPICS = (
    "harbour", "lighthouse", "glacier", "volcano", "desert", "forest", "island", "river", "mountain", "village", "railway", "bridge",
    "telescope", "compass", "satellite", "submarine", "windmill", "cathedral", "castle", "monastery", "beehive", "vineyard", "waterfall", "canyon",
)
SUBJECTS = ("GEOGRAPHY", "HISTORY", "TRAVEL", "SCIENCE", "NATURE", "CULTURE", "CLIMATE", "SURVEYING", "WEATHER", "HERITAGE")
SLIDES = ("DIAGRAM", "TIMELINE", "OVERVIEW", "PORTRAIT", "SKETCH", "RESULTS", "SUMMARY", "METHODS", "SOURCES", "PANORAMA", "ARCHIVE", "EXAMPLE")
BOATS = (
    "MARIGOLD", "PELICAN", "AURORA", "SWALLOW", "DOLPHIN", "JUNIPER", "COMET", "HERON", "BLUEBELL", "PIONEER", "ALBATROSS", "CLEMENTINE",
    "SEAGULL", "VICTORY", "LAVENDER", "KESTREL",
)
TOWNS = (
    "ASHFORD", "BRAMLEY", "CORWEN", "DUNMORE", "ELMSTEAD", "FALMOUTH", "GRANTON", "HOLBROOK", "KELSEY", "LANGTON", "MARLOW", "NEWBURY",
    "OAKHAM", "PRESTON", "RADLEY", "SELBY", "TILBURY", "WESTON",
)
HEADLINES = (
    "BRIDGE REOPENS", "RECORD HARVEST", "SCHOOL CONCERT", "TRAIN DELAYED", "MAYOR RESIGNS", "FLOOD WARNING", "NEW LIBRARY", "LOST PARROT",
    "GIANT PUMPKIN", "FERRY STRIKE", "CHESS CHAMPION", "SNOW EXPECTED", "TOWER RESTORED", "PENGUIN ESCAPES", "ROAD CLOSURE", "BAKERS COMPETE",
    "POWER RETURNS", "RIVER CLEANED", "CIRCUS ARRIVES", "MARKET EXPANDS",
)
REEL_TALK = (
    "Good evening and welcome to the local news.", "Here are the stories of this evening.", "These are the headlines from around the county.",
    "Welcome back to the news at seven.",
)
REEL_CLOSE = ("The {thing} comes next week.", "More about the {thing} tomorrow.", "And now over to the {thing}.", "Stay with us for the {thing}.")
REEL_THINGS = ("weather", "football", "election", "concert", "marathon", "carnival", "interview", "exhibition", "auction", "festival")
POSTER_ADJECTIVES = ("SILVER", "GOLDEN", "MIDNIGHT", "ROYAL", "WILD", "ANCIENT", "SECRET", "DISTANT", "SILENT", "ELECTRIC", "VELVET", "CRYSTAL")
POSTER_NOUNS = ("ORCHESTRA", "CIRCUS", "BALLET", "PARADE", "LANTERNS", "CHORUS", "PUPPETS", "DRUMMERS", "MAGICIANS", "ACROBATS", "FIDDLERS", "SAILORS")
FLASHES = ("TONIGHT", "SOLD OUT", "TOMORROW", "CANCELLED", "WELCOME", "HURRY", "BRAVO", "SURPRISE", "LAST CALL", "FREE ENTRY")
FINE_PRINT = (
    "doors open at half past seven", "no refunds after the first act", "children under six enter free", "please keep your ticket with you",
    "photography is not permitted", "programme subject to change",
)
DISHES = ("SOUP", "PORRIDGE", "PANCAKES", "CURRY", "SALAD", "STEW", "DUMPLINGS", "OMELETTE", "RISOTTO", "PUDDING", "LEMONADE", "CHOWDER")
STEPS = (
    "RINSE RICE", "CHOP ONIONS", "BOIL WATER", "PEEL CARROTS", "MELT BUTTER", "GRATE CHEESE", "TOAST BREAD", "SLICE TOMATOES", "ROAST PEPPERS",
    "CRUSH GARLIC", "WHISK CREAM", "MASH POTATOES", "SQUEEZE LEMON", "STIR HONEY", "DRAIN BEANS", "CRACK EGGS", "SIFT FLOUR", "POUR VINEGAR",
    "WASH SPINACH", "HEAT OIL",
)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

FOREIGN: dict[str, tuple[tuple[str, str], ...]] = {
    "cyrillic": (
        ("ХЛЕБ", "bread"), ("АПТЕКА", "pharmacy"), ("КНИГИ", "books"), ("РЫНОК", "market"), ("ШКОЛА", "school"), ("МУЗЕЙ", "museum"),
        ("ПОЧТА", "post"), ("ВОКЗАЛ", "station"), ("МОЛОКО", "milk"), ("ЦВЕТЫ", "flowers"),
    ),
    "greek": (
        ("ΨΩΜΙ", "bread"), ("ΦΑΡΜΑΚΕΙΟ", "pharmacy"), ("ΒΙΒΛΙΑ", "books"), ("ΑΓΟΡΑ", "market"), ("ΣΧΟΛΕΙΟ", "school"), ("ΜΟΥΣΕΙΟ", "museum"),
        ("ΣΤΑΘΜΟΣ", "station"), ("ΓΑΛΑ", "milk"), ("ΛΟΥΛΟΥΔΙΑ", "flowers"), ("ΘΑΛΑΣΣΑ", "sea"),
    ),
    "chinese": (
        ("面包店", "bread"), ("药店", "pharmacy"), ("书店", "books"), ("市场", "market"), ("学校", "school"), ("博物馆", "museum"),
        ("邮局", "post"), ("火车站", "station"), ("牛奶", "milk"), ("花店", "flowers"),
    ),
}
"""Script -> (word, what it means in English)."""
